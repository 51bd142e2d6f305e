import { eventually, send } from "./client.ts";
import type { ClientLog, OrderEntry } from "./client-log.ts";
import type { Cluster } from "./cluster.ts";

/** I1 to I5 of docs/architecture.md, from the stores themselves and from what the clients were told. */

/** Each finds rows that must never be, when nothing is under way. */
const NEVER: readonly (readonly [invariant: string, sql: string])[] = [
  [
    "I1 a level does not add up",
    `SELECT product_id, on_hand, reserved, sold, received FROM inventory.levels
     WHERE on_hand + sold <> received OR reserved < 0 OR reserved > on_hand`,
  ],
  [
    "I1 reserved is not the sum of the live reservations, or sold not that of the confirmed orders",
    `SELECT l.product_id, l.reserved, l.sold, coalesce(r.quantity, 0) AS live, coalesce(o.quantity, 0) AS ordered
     FROM inventory.levels l
     LEFT JOIN (SELECT product_id, sum(quantity) AS quantity FROM inventory.reservation_items
                JOIN inventory.reservations USING (order_id) WHERE state = 'reserved' GROUP BY 1) r USING (product_id)
     LEFT JOIN (SELECT product_id, sum(quantity) AS quantity FROM orders.items JOIN orders.orders ON id = order_id
                WHERE status IN ('confirmed', 'processing', 'shipped', 'delivered') GROUP BY 1) o USING (product_id)
     WHERE l.reserved <> coalesce(r.quantity, 0) OR l.sold <> coalesce(o.quantity, 0)`,
  ],
  [
    "I2 an order was captured more than once",
    `SELECT order_id, count(*) FROM payments.payments
     WHERE status IN ('captured', 'partially_refunded', 'refunded') GROUP BY 1 HAVING count(*) > 1`,
  ],
  [
    "I2 what is kept of an order is not what it comes to, in our books or the provider's",
    `SELECT o.id AS order_id, o.status, o.total, own.kept AS ours, theirs.kept AS theirs FROM orders.orders o
     CROSS JOIN LATERAL (SELECT coalesce(sum(amount - refunded), 0) AS kept FROM payments.payments
       WHERE order_id = o.id AND status IN ('captured', 'partially_refunded', 'refunded')) own
     CROSS JOIN LATERAL (SELECT coalesce(sum(c.amount - (SELECT coalesce(sum(r.amount), 0)
         FROM payments.sandbox_refunds r WHERE r.charge_ref = c.ref)), 0) AS kept
       FROM payments.sandbox_charges c WHERE c.order_id = o.id AND c.declined IS NULL) theirs
     WHERE own.kept <> theirs.kept
       OR own.kept <> CASE WHEN o.status IN ('confirmed', 'processing', 'shipped', 'delivered')
                           THEN o.total - o.refunded ELSE 0 END`,
  ],
  [
    "I3 an order is neither at an end nor waiting",
    `SELECT o.id AS order_id, o.status, s.state, s.last_error FROM orders.orders o
     LEFT JOIN orders.sagas s ON s.order_id = o.id AND s.state NOT IN ('done', 'undone')
     WHERE s.state IN ('running', 'compensating', 'parked') OR (o.status = 'pending' AND s.state IS DISTINCT FROM 'waiting')`,
  ],
  [
    "I4 a reservation has outlived its time, or its order",
    `SELECT r.order_id, r.expires_at, o.status FROM inventory.reservations r
     LEFT JOIN orders.orders o ON o.id = r.order_id
     WHERE r.state = 'reserved' AND (r.expires_at < now() - interval '20 s' OR o.status IS DISTINCT FROM 'pending')`,
  ],
  [
    "I5 an event waits, or was given up",
    `SELECT name, state, retry_count, data->'envelope'->>'event' AS event FROM pgboss.job
     WHERE name LIKE 'events-%' AND state < 'completed'`,
  ],
];

/** What moves until everything has come to its end. */
const MOVING = `
  SELECT (SELECT count(*) FROM orders.sagas WHERE state IN ('running', 'compensating'))::int AS sagas,
    (SELECT count(*) FROM payments.payments WHERE status = 'processing')::int AS payments,
    (SELECT count(*) FROM pgboss.job WHERE name LIKE 'events-%' AND name NOT LIKE '%-dead' AND state < 'completed')::int AS events`;

/** Which events they are, and why they wait. */
const WAITING_EVENTS = `
  SELECT name, state, retry_count, start_after, now(), started_on, output->>'reason' AS reason, data->'envelope'->>'event' AS event
  FROM pgboss.job WHERE name LIKE 'events-%' AND name NOT LIKE '%-dead' AND state < 'completed' LIMIT 20`;

/**
 * Waits until nothing is under way any more. @returns seconds until every order had ended
 * @throws with what still moves, after `timeout` ms
 */
export async function settled(cluster: Pick<Cluster, "sql">, timeout = 60_000): Promise<number> {
  const started = performance.now();
  let orders = Number.NaN;
  let left: object | undefined;
  try {
    await eventually(async () => {
      const [row] = await cluster.sql<{ sagas: number; payments: number; events: number }>(MOVING);
      left = row;
      if (row?.sagas === 0 && Number.isNaN(orders)) orders = (performance.now() - started) / 1000;
      return row?.sagas === 0 && row.payments === 0 && row.events === 0;
    }, timeout);
  } catch (error) {
    const events = await cluster.sql(WAITING_EVENTS);
    throw new Error(`Still under way: ${JSON.stringify(left)} ${JSON.stringify(events)}`, { cause: error });
  }
  return orders;
}

/** Everything that breaks an invariant, as text; empty if nothing does. For when the cluster has {@link settled}. */
export async function broken(cluster: Cluster, log: ClientLog, admin: string): Promise<string[]> {
  const found: string[] = [];
  for (const [invariant, sql] of NEVER) {
    for (const row of await cluster.sql(sql)) found.push(`${invariant}: ${JSON.stringify(row)}`);
  }
  found.push(...(await againstLog(cluster, log)), ...(await untold(cluster, log)));
  const report = await send(cluster, "GET", "/api/admin/verify", undefined, { token: admin });
  if (report.body.ok !== true) found.push(`verify: ${JSON.stringify(report.body)}`);
  return found;
}

interface StoredOrder {
  id: string;
  user_id: string;
  status: string;
  key: string;
  items: { product_id: number; quantity: number }[];
}

/** Whether the stores hold what the clients were told, and nothing that none of them asked for. */
async function againstLog(cluster: Pick<Cluster, "sql">, log: ClientLog): Promise<string[]> {
  const users = [...new Set(log.entries.map(({ user }) => user.id))];
  const stored = await cluster.sql<StoredOrder>(
    `SELECT o.id, o.user_id, o.status, k.key, (SELECT jsonb_agg(jsonb_build_object('product_id', product_id, 'quantity', quantity)
         ORDER BY product_id) FROM orders.items WHERE order_id = o.id) AS items
     FROM orders.orders o JOIN orders.checkout_keys k ON k.order_id = o.id WHERE o.user_id = ANY($1)`,
    [users],
  );
  const ofKey = Map.groupBy(stored, ({ user_id, key }) => `${user_id} ${key}`);
  const asked = new Set(log.entries.map(({ user, key }) => `${user.id} ${key}`));
  return [
    ...log.entries.flatMap((entry) => judge(entry, ofKey.get(`${entry.user.id} ${entry.key}`) ?? [])),
    ...[...ofKey.keys()]
      .filter((key) => !asked.has(key))
      .map((key) => `I3 nobody asked for the order under ${key}`),
  ];
}

function judge(entry: OrderEntry, orders: readonly StoredOrder[]): string[] {
  const about = `${entry.key} (told ${entry.said.join(", ")})`;
  const [order, ...more] = orders;
  if (more.length > 0 || entry.orders.size > 1) return [`I3 more than one order under ${about}`];
  if (entry.outcome === "refused" && order && order.status !== "cancelled")
    return [`I3 refused and there: ${about} is ${order.status}`];
  if (entry.outcome !== "acknowledged") return [];
  if (!order || !entry.orders.has(order.id)) return [`I3 acknowledged and lost: ${about}`];
  const wanted = [...entry.items].sort((a, b) => a.product_id - b.product_id);
  const isSame = JSON.stringify(order.items.map(pair)) === JSON.stringify(wanted.map(pair));
  if (order.status !== entry.status || !isSame)
    return [`I3 acknowledged as ${entry.status}, and now ${JSON.stringify(order)}: ${about}`];
  return [];
}

const pair = ({ product_id, quantity }: { product_id: number; quantity: number }) => [product_id, quantity];

/** Confirmed orders whose buyer was not told of them just once. */
async function untold(cluster: Cluster, log: ClientLog): Promise<string[]> {
  const users = new Map(log.entries.map(({ user }) => [user.id, user]));
  const orders = await cluster.sql<{ id: string; user_id: string }>(
    "SELECT id, user_id FROM orders.orders WHERE user_id = ANY($1) AND status = 'confirmed'",
    [[...users.keys()]],
  );
  const found: string[] = [];
  for (const [userId, own] of Map.groupBy(orders, ({ user_id }) => user_id)) {
    const told = await toldTo(cluster, users.get(userId)?.token ?? "");
    for (const { id } of own) {
      const times = told.filter((order) => order === id).length;
      if (times !== 1) found.push(`I5 the buyer of order ${id} was told of it ${times} times`);
    }
  }
  return found;
}

/** The orders whose confirmation stands among the messages of this user. */
async function toldTo(cluster: Cluster, token: string): Promise<string[]> {
  const told: string[] = [];
  for (let page = 1, pages = 1; page <= pages; page++) {
    const path = `/api/notifications?limit=100&page=${page}`;
    const { at } = await send(cluster, "GET", path, undefined, { token });
    pages = Number(at("pagination", "pages"));
    for (let i = 0; at("notifications", i) !== undefined; i++) {
      if (at("notifications", i, "type") !== "order.confirmed") continue;
      told.push(String(at("notifications", i, "data", "order_id")));
    }
  }
  return told;
}
