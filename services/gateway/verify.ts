import { setTimeout as delay } from "node:timers/promises";
import { MAX, NIL } from "uuid";
import { type Caller, call } from "../../lib/call.ts";
import type { ParamsOf, ResultOf } from "../../lib/contract.ts";
import { failureCode } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { isWhole } from "../../middlewares/contract.ts";
import type { UndeliveredEvent } from "../../mixins/jobs.contract.ts";
import type { Actions } from "../contracts.ts";
import type { OrderStock, Violation } from "../inventory/inventory.contract.ts";
import { undelivered } from "./events.ts";
import type { VerifyReport } from "./gateway.contract.ts";
import {
  before,
  isMoving,
  judgeMoney,
  judgeProgress,
  judgeStock,
  judgeStrays,
  judgeTold,
  type OrderRow,
  type PaymentRow,
  type ToldRow,
} from "./verify-rules.ts";

const NAMES = {
  I1: "stock: on hand + sold = received, reserved = live reservations",
  I2: "money: captured − refunded = what each order comes to",
  I3: "orders: each reaches a final or a waiting state",
  I4: "reservations: each agrees with its order, none outlives its time",
  I5: "events: each is told once",
} as const;
type Id = keyof typeof NAMES;
type InvariantReport = VerifyReport["invariants"][number];
const IDS = ["I1", "I2", "I3", "I4", "I5"] as const;

const PAGE = 500;
/** Orders that are asked about again one by one. */
const FEW = 50;
/** The services are asked one after the other, so a row may look wrong while it is changing: it is asked about again. */
const ROUNDS = 3;
const PAUSE = 250;
/** ms that an event may be due and not be taken: workers look every half second. What waits for its next try is not due. */
const OVERDUE = 60_000;
/** A report is read by people: of each invariant the first hundred. */
const MAX_SHOWN = 100;

/** While nodes are replaced: what an older one doesn't tell can't be judged, and is no violation. */
class OlderVersion extends Error {}

type Audit = Extract<keyof Actions, `${string}.audit` | `${string}.auditOrders`>;

/** Asks what is to be judged. @throws OlderVersion, or as {@link call} */
async function ask<N extends Audit>(
  caller: Caller,
  action: N,
  params: ParamsOf<Actions[N]>,
): Promise<ResultOf<Actions[N]>> {
  const answer = await call(caller, action, params);
  if (!isWhole(action, answer)) throw new OlderVersion();
  return answer;
}

/** What has been found so far. */
class Findings {
  readonly checked = new Map<Id, number>();
  readonly violations: Violation[] = [];
  readonly notes: string[] = [];
  readonly #unasked = new Set<string>();
  readonly #pause: number;

  /** @param pause ms before what looks wrong is asked about again */
  constructor(pause: number) {
    this.#pause = pause;
  }

  count(id: Id, rows: number): void {
    this.checked.set(id, (this.checked.get(id) ?? 0) + rows);
  }

  /** A service that can't be asked leaves its invariants unproven: that is no pass. */
  unasked(ids: readonly Id[], service: string, error: unknown): void {
    for (const invariant of ids) {
      if (this.#unasked.has(`${invariant} ${service}`)) continue;
      this.#unasked.add(`${invariant} ${service}`);
      const why =
        error instanceof OlderVersion
          ? "is of an older version"
          : `did not answer (${failureCode(error) ?? "an error"})`;
      const message = `Could not be checked: ${service} ${why}.`;
      this.violations.push({ invariant, message, row: { service } });
    }
  }

  /** Adds those of `suspects` that stay when they are asked about again. */
  async addPersisting(
    suspects: readonly Violation[],
    again: (left: readonly Violation[]) => Promise<readonly Violation[]>,
  ): Promise<void> {
    let left = [...suspects];
    for (let round = 0; round < ROUNDS && left.length > 0; round++) {
      await delay(this.#pause);
      const still = new Map((await again(left)).map((violation) => [keyOf(violation), violation]));
      left = left.flatMap((suspect) => still.get(keyOf(suspect)) ?? []);
    }
    this.violations.push(...left);
  }

  report(): VerifyReport {
    const invariants = IDS.map((id) => this.#invariant(id));
    const ok = invariants.every((invariant) => invariant.ok);
    return { ok, invariants, notes: this.notes, timestamp: new Date().toISOString() };
  }

  #invariant(id: Id): InvariantReport {
    const own = this.violations.filter(({ invariant }) => invariant === id);
    if (own.length > MAX_SHOWN) this.notes.push(`${id}: ${own.length - MAX_SHOWN} more violations.`);
    return {
      id,
      name: NAMES[id],
      ok: own.length === 0,
      checked: this.checked.get(id) ?? 0,
      violations: own.slice(0, MAX_SHOWN),
    };
  }
}

/**
 * Checks the invariants I1 to I5 over the live data. Reads only; orders may come and go meanwhile.
 * @param pause ms before what looks wrong is asked about again
 */
export async function verifyShop(caller: Caller, pause = PAUSE): Promise<VerifyReport> {
  const findings = new Findings(pause);
  await Promise.all([
    verifyStock(caller, findings),
    verifyOrders(caller, findings),
    verifyEvents(caller, findings),
  ]);
  return findings.report();
}

async function verifyStock(caller: Caller, findings: Findings): Promise<void> {
  const look = () => ask(caller, "inventory.audit", {});
  try {
    const { checked, violations } = await look();
    findings.count("I1", checked);
    await findings.addPersisting(violations, async () => (await look()).violations);
  } catch (error) {
    findings.unasked(["I1", "I4"], "inventory", error);
  }
}

async function verifyEvents(caller: Caller, findings: Findings): Promise<void> {
  const ask = async () => {
    const [dead, late] = await Promise.all([
      undelivered(caller, { state: "dead" }, MAX_SHOWN),
      undelivered(caller, { state: "late" }, MAX_SHOWN),
    ]);
    for (const { service, error } of late.failed) findings.unasked(["I5"], service, error);
    const overdue = late.events.filter(({ due_at }) => Date.now() - Date.parse(due_at) > OVERDUE);
    return { dead, tried: late.late - overdue.length, overdue: overdue.map(lateness) };
  };
  const { dead, tried, overdue } = await ask();
  findings.count("I5", dead.checked);
  findings.notes.push(
    ...dead.events.map(
      ({ event, subscriber }) => `Dead letter: ${event} for ${subscriber} was given up after its last retry.`,
    ),
  );
  if (dead.dead > MAX_SHOWN) findings.notes.push(`Dead letters: ${dead.dead - MAX_SHOWN} more.`);
  if (tried > 0) findings.notes.push(`Late events that are still tried: ${tried}.`);
  await findings.addPersisting(overdue, async () => (await ask()).overdue);
}

function lateness({ id, event, subscriber, event_id, attempts, since }: UndeliveredEvent): Violation {
  const seconds = Math.round((Date.now() - Date.parse(since)) / 1000);
  const message = `${event} for ${subscriber} has not been delivered for ${seconds} s.`;
  return { invariant: "I5", message, row: { id, event, subscriber, event_id, attempts } };
}

async function verifyOrders(caller: Caller, findings: Findings): Promise<void> {
  // Orders made from now on have larger ids: a busy shop is not chased for ever.
  const end = newId();
  const suspects: Violation[] = [];
  const strays: Violation[] = [];
  let moving = 0;
  try {
    for (let after: string | undefined; ; ) {
      const { orders, next } = await ask(caller, "orders.audit", { after, limit: PAGE });
      const rows = orders.filter(({ order_id }) => order_id < end);
      moving += rows.filter(isMoving).length;
      for (const order of rows.filter(({ saga }) => saga === "parked")) {
        findings.notes.push(`Order ${order.number} is parked: redrive it, or settle it by hand.`);
      }
      findings.count("I2", rows.length);
      findings.count("I3", rows.length);
      findings.count("I4", rows.length);
      findings.count("I5", rows.length);
      // With the ids around them, so that none can lie between two pages.
      const around = [
        after ?? NIL,
        ...orders.map(({ order_id }) => order_id),
        ...(next === null ? [MAX] : []),
      ];
      const judged = await judge(caller, rows, findings, around);
      suspects.push(...judged.suspects);
      strays.push(...judged.strays);
      if (next === null || rows.length < orders.length) break;
      after = next;
    }
    await findings.addPersisting(suspects, async (left) => {
      const rows = await readOrders(caller, left);
      const still: Violation[] = [];
      for (let start = 0; start < rows.length; start += PAGE)
        still.push(...(await judge(caller, rows.slice(start, start + PAGE), findings)).suspects);
      return still;
    });
    // An order is written before anything is held or captured for it: that it was not seen may be no more than haste.
    await findings.addPersisting(strays, async (left) => {
      const there = new Set((await readOrders(caller, left)).map(({ order_id }) => order_id));
      return left.filter(({ row }) => !there.has(String(row.order_id)));
    });
  } catch (error) {
    findings.unasked(["I2", "I3", "I4", "I5"], "orders", error);
  }
  if (moving > 0) findings.notes.push(`Orders under way: ${moving}.`);
}

/**
 * What looks wrong with these orders, right now; and, where `around` has all ids of orders there are between its first
 * and its last, which are missing.
 */
async function judge(
  caller: Caller,
  rows: readonly OrderRow[],
  findings: Findings,
  around?: readonly string[],
): Promise<{ suspects: Violation[]; strays: Violation[] }> {
  const order_ids = around ? [...around] : rows.map(({ order_id }) => order_id);
  const [stock, payments, told] = await Promise.all([
    ask(caller, "inventory.auditOrders", { order_ids }).catch((error: unknown) => {
      findings.unasked(["I4"], "inventory", error);
    }),
    ask(caller, "payments.audit", { order_ids }).catch((error: unknown) => {
      findings.unasked(["I2"], "payments", error);
    }),
    ask(caller, "notifications.audit", { order_ids }).catch((error: unknown) => {
      findings.unasked(["I5"], "notifications", error);
    }),
  ]);
  const stockOf = new Map<string, OrderStock>(stock?.map((row) => [row.order_id, row]));
  const paymentOf = new Map<string, PaymentRow>(payments?.orders.map((row) => [row.order_id, row]));
  const toldOf = Map.groupBy<string, ToldRow>(told ?? [], ({ order_id }) => order_id);
  const now = Date.now();
  const own = new Set<unknown>(rows.map(({ order_id }) => order_id));
  const suspects = [
    ...(payments?.violations ?? []).filter(({ row }) => own.has(row.order_id)),
    ...rows.flatMap((order) => [
      ...(payments ? judgeMoney(order, paymentOf.get(order.order_id)) : []),
      ...judgeProgress(order),
      ...(stock ? judgeStock(order, stockOf.get(order.order_id)) : []),
      ...(told ? judgeTold(order, toldOf.get(order.order_id) ?? [], now) : []),
    ]),
  ];
  const strays = around ? judgeStrays(new Set(around), payments?.orders ?? [], stock ?? []) : [];
  return { suspects, strays };
}

/**
 * The rows of the orders that these are about: of a few each as a page of one; of many the pages that they are on, so
 * that a shop where everything looks wrong is read once more and not order by order.
 */
async function readOrders(caller: Caller, about: readonly Violation[]): Promise<OrderRow[]> {
  const wanted = new Set(
    about.flatMap(({ row }) => (typeof row.order_id === "string" ? [row.order_id] : [])),
  );
  const ids = [...wanted].sort();
  const limit = ids.length > FEW ? PAGE : 1;
  const rows: OrderRow[] = [];
  let passed = "";
  for (const id of ids) {
    if (id <= passed) continue;
    const { orders } = await ask(caller, "orders.audit", { after: before(id), limit });
    rows.push(...orders.filter(({ order_id }) => wanted.has(order_id)));
    passed = orders.at(-1)?.order_id ?? id;
  }
  return rows;
}

/** What a violation is about; the figures in its message may be others the next time. */
function keyOf({ invariant, message, row }: Violation): string {
  return `${invariant} ${row.order_id ?? row.product_id ?? row.id ?? ""} ${message.replace(/\d+/g, "")}`;
}
