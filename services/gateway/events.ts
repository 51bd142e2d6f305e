import { type Caller, call } from "../../lib/call.ts";
import { NotFound, Unavailable, ValidationFailed } from "../../lib/errors.ts";
import { type PageParams, pageOf } from "../../lib/schema.ts";
import { PUBLISHERS, type Publisher, type UndeliveredEvent } from "../../mixins/jobs.contract.ts";
import type { EventPage, Redriven } from "./gateway.contract.ts";

/** Undelivered durable events of the whole shop: each publisher keeps its own, in a database that it may share. */

/** How deep the pages go: each database is asked for all that stands before a page. */
const MAX_DEPTH = 10_000;

interface Filter {
  state?: "dead" | "late";
  subscriber?: string;
  ids?: string[];
}

interface Undelivered {
  checked: number;
  dead: number;
  late: number;
  events: UndeliveredEvent[];
  /** Who did not answer. */
  failed: { service: Publisher; error: unknown }[];
}

/** Asks every publisher at once. One that can't answer is named, and costs nothing else. */
export async function askPublishers<T>(
  ask: (service: Publisher) => Promise<T>,
): Promise<{ answers: T[]; failed: Undelivered["failed"] }> {
  const answers: T[] = [];
  const failed: Undelivered["failed"] = [];
  const all = await Promise.allSettled(PUBLISHERS.map(ask));
  for (const [index, service] of PUBLISHERS.entries()) {
    const one = all[index];
    if (one?.status === "fulfilled") answers.push(one.value);
    else failed.push({ service, error: one?.reason });
  }
  return { answers, failed };
}

/** One answer of each database: services that share one see the same queues. */
export function byDatabase<T extends { database: string }>(answers: readonly T[]): T[] {
  return [...new Map(answers.map((answer) => [answer.database, answer])).values()];
}

/** The first `limit` undelivered events of all databases together: the dead ones first, and the oldest first. */
export async function undelivered(caller: Caller, filter: Filter, limit: number): Promise<Undelivered> {
  const { answers, failed } = await askPublishers((service) =>
    call(caller, `${service}.undeliveredEvents`, { ...filter, limit }),
  );
  const each = byDatabase(answers);
  const sum = (figure: "checked" | "dead" | "late") => each.reduce((total, one) => total + one[figure], 0);
  return {
    checked: sum("checked"),
    dead: sum("dead"),
    late: sum("late"),
    events: each
      .flatMap(({ events }) => events)
      .sort((a, b) => compare(sortKey(a), sortKey(b)))
      .slice(0, limit),
    failed,
  };
}

const sortKey = ({ state, since, id }: UndeliveredEvent) => `${state} ${since} ${id}`;
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** @throws Unavailable if no publisher answers, ValidationFailed beyond the last page there can be */
export async function listEvents(caller: Caller, params: PageParams & Filter): Promise<EventPage> {
  const { limit, offset, pagination } = pageOf(params);
  if (offset + limit > MAX_DEPTH) {
    const message = `must not go beyond ${MAX_DEPTH} events: redrive some, or filter`;
    throw new ValidationFailed({ violations: [{ path: "/page", message }] });
  }
  const { state, subscriber } = params;
  const found = await undelivered(caller, { state, subscriber }, offset + limit);
  const { dead, late, failed } = found;
  return {
    events: found.events.slice(offset),
    pagination: pagination(dead + late),
    dead,
    late,
    not_asked: namesOf(failed),
  };
}

/** @throws NotFound if every publisher says that it has none; Unavailable if one that may have it doesn't answer */
export async function eventOf(caller: Caller, id: string): Promise<UndeliveredEvent> {
  const { events, failed } = await undelivered(caller, { ids: [id] }, 1);
  const [event] = events;
  if (event) return event;
  if (failed.length > 0) throw new Unavailable({ retry_after: 2 });
  throw new NotFound({ what: "undelivered event", id });
}

/**
 * Puts dead letters back into their queues, each exactly once, whoever else does the same meanwhile.
 * @throws ValidationFailed unless exactly one of `ids`, `subscriber` and `all` is given
 */
export async function redriveEvents(
  caller: Caller,
  { ids, subscriber, all }: { ids?: string[]; subscriber?: string; all?: true },
): Promise<Redriven> {
  if ([ids, subscriber, all].filter((one) => one !== undefined).length !== 1) {
    const message = "must be one of ids, subscriber and all";
    throw new ValidationFailed({ violations: [{ path: "", message }] });
  }
  const { answers, failed } = await askPublishers((service) =>
    call(caller, `${service}.redriveEvents`, { ids, subscriber }),
  );
  const put = new Set(answers.flatMap((answer) => answer.ids));
  return {
    redriven: answers.reduce((total, answer) => total + answer.redriven, 0),
    not_found: (ids ?? []).filter((id) => !put.has(id.toLowerCase())),
    not_asked: namesOf(failed),
  };
}

/** @throws Unavailable if it is all of them */
function namesOf(failed: Undelivered["failed"]): string[] {
  if (failed.length === PUBLISHERS.length) throw new Unavailable({ retry_after: 2 });
  return failed.map(({ service }) => service);
}
