import { Order, ordersContract } from "../../services/orders/orders.contract.ts";
import { Cancelled, type CliError, EXIT, NoAnswer, ShopRefused } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import type { CommonOptions } from "../lib/options.ts";
import { waited } from "../lib/patience.ts";
import { findShop } from "../lib/session.ts";
import { AdminWatch } from "../status/admin-watch.ts";
import { type Snapshot, Snapshots, snapshotLine } from "../status/snapshot.ts";
import { emptyView, type TopView, type Wanted } from "../ui/top-view.ts";

export interface TopOptions extends CommonOptions {
  /** Seconds between two looks. */
  interval: number;
  /** Looks until it ends by itself; without it, it goes on. */
  count?: number;
}

const OrderPage = ordersContract.actions.list.result;
const SagaPage = ordersContract.actions.sagas.result;
/** Rows that are asked for where a list has to be. */
const LISTED = 50;

/** Shows what the shop does, live. @returns the exit code: of what was seen last */
export async function top(options: TopOptions, io: Io): Promise<number> {
  const { url } = await findShop(options, io.env);
  const quit = new AbortController();
  const signal = AbortSignal.any([io.signal, quit.signal]);
  const watch = new AdminWatch(options, { ...io, signal });
  try {
    // A shop that is down when it begins, or knows no such admin, is a failure; later it is a sight.
    await watch.session();
    const isDrawn = io.canDraw && !options.json;
    const shown = isDrawn ? await onScreen(url, io, () => quit.abort()) : inLines(options, io);
    return await looking(new Looker(watch, url), shown, options, signal);
  } catch (error) {
    if (error instanceof Cancelled && signal.aborted) return EXIT.ok;
    throw error;
  } finally {
    await watch.close();
  }
}

/** Where looks go. */
interface Shown {
  show(view: TopView): void;
  wanted(): Wanted;
  /** Waits for the time of the next look, or until something else is wanted. @returns false at the end */
  wait(seconds: number, signal: AbortSignal): Promise<boolean>;
  end(): Promise<void>;
}

async function looking(
  looker: Looker,
  shown: Shown,
  { interval, count = Number.POSITIVE_INFINITY }: TopOptions,
  signal: AbortSignal,
): Promise<number> {
  let last: TopView | undefined;
  try {
    for (let looks = 1; ; looks++) {
      last = await looker.look(shown.wanted());
      shown.show(last);
      if (looks >= count || !(await shown.wait(interval, signal))) break;
    }
  } catch (error) {
    if (!(error instanceof Cancelled)) throw error;
  } finally {
    await shown.end();
  }
  return last?.trouble && !signal.aborted ? EXIT.failed : EXIT.ok;
}

/** One look after the other: one call each, and one more for a list or an order that is looked into. */
class Looker {
  readonly #watch: AdminWatch;
  readonly #snapshots: Snapshots;
  #view: TopView;

  constructor(watch: AdminWatch, url: string) {
    this.#watch = watch;
    this.#snapshots = new Snapshots(url);
    this.#view = emptyView(url);
  }

  /** @throws CliError where looking again won't help */
  async look(wanted: Wanted): Promise<TopView> {
    try {
      const [status, rest] = await Promise.all([this.#watch.status(), this.#rest(wanted)]);
      this.#view = { ...this.#view, ...this.#snapshots.take(status), ...rest, trouble: undefined };
    } catch (error) {
      if (!isPassing(error)) throw error;
      const since = this.#view.trouble?.since ?? new Date().toISOString();
      this.#view = { ...this.#view, trouble: { message: error.message, since } };
    }
    return this.#view;
  }

  /** Beside the status, that tells what is wrong: what can't be had now stands as it was. */
  async #rest(wanted: Wanted): Promise<Partial<TopView>> {
    try {
      return await this.#lists(wanted);
    } catch (error) {
      if (!isPassing(error)) throw error;
      return {};
    }
  }

  async #lists({ list, order }: Wanted): Promise<Pick<TopView, "orders" | "sagas" | "sight">> {
    const query = { limit: LISTED };
    const [orders, sagas, one] = await Promise.all([
      list === "orders" ? this.#watch.request("/api/orders/all", OrderPage, query) : undefined,
      list === "sagas" || order !== undefined
        ? this.#watch.request("/api/admin/sagas", SagaPage, query)
        : undefined,
      order === undefined ? undefined : this.#watch.request(`/api/orders/${order}`, Order),
    ]);
    const saga = sagas?.sagas.find(({ order_id }) => order_id === one?.id);
    return {
      orders: orders?.orders ?? [],
      sagas: sagas?.sagas ?? [],
      sight: one && { order: one, saga },
    };
  }
}

/** What may be over at the next look. */
function isPassing(error: unknown): error is CliError {
  return error instanceof NoAnswer || (error instanceof ShopRefused && error.status >= 429);
}

function inLines(options: TopOptions, io: Io): Shown {
  let last: Snapshot | undefined;
  return {
    show({ snapshot, trouble, url }) {
      if (trouble) {
        const timestamp = new Date().toISOString();
        const { message: error } = trouble;
        if (options.json) io.printLine({ timestamp, status: "down", url, error });
        else io.print(`${timestamp}  down  ${error}`);
      } else if (snapshot && snapshot !== last) {
        last = snapshot;
        if (options.json) io.printLine(snapshot);
        else io.print(snapshotLine(snapshot));
      }
    },
    wanted: () => ({ list: undefined, order: undefined }),
    wait: waited,
    end: async () => undefined,
  };
}

async function onScreen(url: string, io: Io, quit: () => void): Promise<Shown> {
  const { openScreen } = await import("../ui/screen.ts");
  const load = async () => (await import("../ui/top-screen.ts")).TopScreen;
  let wanted: Wanted = { list: undefined, order: undefined };
  let changed = new AbortController();
  const fixed = {
    hasKeys: io.canAsk,
    quit,
    want(next: Wanted) {
      if (next.list === wanted.list && next.order === wanted.order) return;
      wanted = next;
      changed.abort();
    },
  };
  const screen = await openScreen(io, load, { view: emptyView(url), ...fixed }, { isWhole: true });
  return {
    show: (view) => screen.show({ view, ...fixed }),
    wanted: () => wanted,
    async wait(seconds, signal) {
      await waited(seconds, AbortSignal.any([signal, changed.signal]));
      if (changed.signal.aborted) changed = new AbortController();
      return !signal.aborted;
    },
    end: async () => await screen.end(),
  };
}
