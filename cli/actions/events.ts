import { UndeliveredEvent } from "../../mixins/jobs.contract.ts";
import { EventPage, Redriven } from "../../services/gateway/gateway.contract.ts";
import { confirm } from "../lib/ask.ts";
import type { Client } from "../lib/client.ts";
import { CliError, EXIT, Misuse, ShopRefused } from "../lib/errors.ts";
import { isId } from "../lib/ids.ts";
import type { Io } from "../lib/io.ts";
import type { ChangeOptions, CommonOptions } from "../lib/options.ts";
import { clip, plural, table } from "../lib/output.ts";
import { type PageOptions, pageLine } from "../lib/pages.ts";
import { withSession } from "../lib/session.ts";
import { timeOf } from "./order.ts";

export interface EventListOptions extends CommonOptions, PageOptions {
  state?: string;
  subscriber?: string;
}
export interface EventRedriveOptions extends ChangeOptions {
  all?: boolean;
  subscriber?: string;
}

const PATH = "/api/admin/events";

/** Durable events that a subscriber has not taken. @returns the exit code */
export async function listEvents(options: EventListOptions, io: Io): Promise<number> {
  return await withSession(options, io, async ({ client }) => {
    const { state, subscriber, page, limit } = options;
    const answer = await client.request("GET", PATH, EventPage, {
      query: { state, subscriber, page, limit },
    });
    if (options.json) io.printJson(answer);
    else {
      io.printRows(eventTable(answer.events));
      io.say(`${pageLine("undelivered event", answer.pagination)} ${answer.dead} dead, ${answer.late} late.`);
    }
    return tellNotAsked(answer.not_asked, io);
  });
}

function eventTable(events: readonly UndeliveredEvent[]): string[] {
  const rows = events.map(({ id, state, event, subscriber, attempts, since, last_error }) => [
    id,
    state,
    event,
    subscriber,
    attempts,
    timeOf(since),
    clip(last_error ?? "-", 30),
  ]);
  return table(["id", "state", "event", "subscriber", "tries", "since (UTC)", "last error"], rows);
}

/** What some services did not say makes an answer incomplete. @returns the exit code */
function tellNotAsked(services: readonly string[], io: Io): number {
  if (services.length === 0) return EXIT.ok;
  io.say(`Without the events of ${services.join(", ")}: no answer from there. Look at \`molecart health\`.`);
  return EXIT.failed;
}

/** @returns the exit code */
export async function showEvent(id: string, options: CommonOptions, io: Io): Promise<number> {
  checkIds([id]);
  return await withSession(options, io, async ({ client }) => {
    const event = await findEvent(client, id);
    if (options.json) io.printJson(event);
    else {
      const { data, ...rest } = event;
      const rows = Object.entries(rest).map(([key, value]) => [key, String(value ?? "-")]);
      const fields = Object.entries(data).map(([key, value]) => [
        `data.${key}`,
        typeof value === "string" ? value : JSON.stringify(value),
      ]);
      for (const line of table(["", ""], [...rows, ...fields]).slice(1)) io.print(line);
    }
    return EXIT.ok;
  });
}

async function findEvent(client: Client, id: string): Promise<UndeliveredEvent> {
  try {
    return await client.request("GET", `${PATH}/${id}`, UndeliveredEvent);
  } catch (error) {
    if (!(error instanceof ShopRefused) || error.status !== 404) throw error;
    throw new CliError(`There is no undelivered event ${id}: it was delivered, or never was.`, {
      next: "Those that there are: molecart events list",
    });
  }
}

function checkIds(ids: readonly string[]): void {
  const wrong = ids.find((id) => !isId(id));
  if (wrong !== undefined) {
    throw new Misuse(
      `${wrong} is no event's id.`,
      "They stand in the first column of `molecart events list`.",
    );
  }
}

/** Has dead letters delivered again. @returns the exit code: 1 if one that was named is none, or a service is away */
export async function redriveEvents(
  ids: readonly string[],
  options: EventRedriveOptions,
  io: Io,
): Promise<number> {
  const { all, subscriber, dryRun = false } = options;
  if ([ids.length > 0, all === true, subscriber !== undefined].filter(Boolean).length !== 1) {
    throw new Misuse("Name the events, or one --subscriber, or say --all.");
  }
  checkIds(ids);
  return await withSession(options, io, async ({ client }) => {
    const count = ids.length || (await countDead(client, subscriber));
    const what = plural(count, "dead letter");
    if (count === 0) io.say("There is no dead letter.");
    else if (dryRun) io.say(`Would have ${what} delivered again.`);
    else await confirm(io, `Have ${what} delivered again?`, options);
    const body = ids.length > 0 ? { ids } : subscriber === undefined ? { all } : { subscriber };
    const answer =
      dryRun || count === 0
        ? { redriven: 0, not_found: [], not_asked: [] }
        : await client.request("POST", `${PATH}/redrive`, Redriven, { body });
    if (options.json) io.printJson({ dry_run: dryRun, ...answer });
    else if (!dryRun && count > 0) io.print(`${plural(answer.redriven, "event")} on the way again.`);
    for (const id of answer.not_found) io.say(`${id} is no dead letter (any more).`);
    const code = tellNotAsked(answer.not_asked, io);
    return answer.not_found.length > 0 ? EXIT.failed : code;
  });
}

async function countDead(client: Client, subscriber: string | undefined): Promise<number> {
  const query = { state: "dead", subscriber, limit: 1 };
  return (await client.request("GET", PATH, EventPage, { query })).dead;
}
