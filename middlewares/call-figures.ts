import type { Context, Middleware, Service } from "moleculer";
import { isFault, noteCall } from "../lib/call-figures.ts";

/** The gateway's calls are its HTTP requests, which the front notes; Moleculer's own (`$node.*`) are nobody's work. */
const isNoted = (action: string) => !action.startsWith("$") && !action.startsWith("gateway.");

/** Counts and times each call that this node answers. The outermost, so that what is refused counts too. */
export function callFiguresMiddleware(): Middleware {
  return {
    name: "CallFigures",
    localAction(next, action) {
      const name = action.name ?? "";
      if (!isNoted(name)) return next;
      const [service = name] = name.split(".");
      return async function (this: Service, ctx: Context) {
        const started = performance.now();
        try {
          const answer: unknown = await next.call(this, ctx);
          noteCall(ctx.broker, service, performance.now() - started, false);
          return answer;
        } catch (error) {
          noteCall(ctx.broker, service, performance.now() - started, isFault(error));
          throw error;
        }
      };
    },
  };
}
