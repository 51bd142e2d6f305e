import type { OrderSummary, SagaView } from "../../services/orders/orders.contract.ts";
import type { Sight } from "../actions/order-watch.ts";
import type { Series, Snapshot } from "../status/snapshot.ts";

/** What is known of the shop at a moment. */
export interface TopView {
  url: string;
  snapshot: Snapshot | undefined;
  series: Series;
  /** The newest, while they are listed. */
  orders: readonly OrderSummary[];
  /** Those not at their end, while they are listed. */
  sagas: readonly SagaView[];
  /** The order that is looked into. */
  sight: Sight | undefined;
  /** Why there is no newer snapshot, and since when (ISO 8601). */
  trouble: { message: string; since: string } | undefined;
}

/** What is shown beside the snapshot, and has to be asked for. */
export interface Wanted {
  list: "orders" | "sagas" | undefined;
  /** An order's id. */
  order: string | undefined;
}

/** What is known before the first look. */
export function emptyView(url: string): TopView {
  const nothing = { snapshot: undefined, sight: undefined, trouble: undefined };
  return { url, series: { minutes: [], calls: [] }, orders: [], sagas: [], ...nothing };
}
