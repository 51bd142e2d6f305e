import type { Context, Middleware, Service, ServiceBroker } from "moleculer";
import { callsOf, isFault, noteCall } from "../lib/call-figures.ts";
import { failureCode } from "../lib/errors.ts";
import type { Series } from "../lib/histogram.ts";
import { metricsOf } from "../lib/metrics.ts";

type Type = "local" | "remote";
type Next = (ctx: Context) => Promise<unknown>;

/** The gateway's calls are its HTTP requests, which the front notes; Moleculer's own (`$node.*`) are nobody's work. */
const isNoted = (action: string) => !action.startsWith("$") && !action.startsWith("gateway.");

/**
 * Counts and times each call that this node answers or makes of another, in place of Moleculer's own middleware, which
 * looks six metrics up by their labels for each. The outermost, so that what is refused, or answered by the cache, counts
 * too.
 */
export function callFiguresMiddleware(): Middleware {
  let active = 0;

  function measured(type: Type, next: Next, name: string): Next {
    const [service = name] = name.split(".");
    const isWork = type === "local" && isNoted(name);
    /** By who calls. */
    const times = new Map<string | null, Series<object> | undefined>();

    function timesOf({ broker, caller }: Context): Series<object> | undefined {
      const labels = { service, action: name, caller: caller ?? undefined, type };
      const series = metricsOf(broker).series("molecart_call_duration_seconds", labels);
      times.set(caller, series);
      return series;
    }

    return function (this: Service, ctx: Context) {
      const { broker, caller } = ctx;
      const started = performance.now();
      active++;
      const end = (isError: boolean) => {
        active--;
        const ms = performance.now() - started;
        (times.get(caller) ?? timesOf(ctx))?.observe(ms);
        if (isWork) noteCall(callsOf(broker, service), ms, isError);
      };
      return next.call(this, ctx).then(
        (answer: unknown) => {
          end(false);
          return answer;
        },
        (error: unknown) => {
          end(isFault(error));
          const code = failureCode(error) ?? "UNKNOWN";
          const labels = { service, action: name, caller: caller ?? undefined, type, code };
          metricsOf(broker).count("molecart_call_failures_total", labels);
          throw error;
        },
      );
    };
  }

  return {
    name: "CallFigures",
    async starting(broker: ServiceBroker) {
      metricsOf(broker).collect(
        "calls",
        () => [{ name: "molecart_calls_active", labels: {}, value: active }],
        0,
      );
    },
    localAction: (next, { name = "" }) => measured("local", next, name),
    remoteAction: (next, { name = "" }) => measured("remote", next, name),
  };
}
