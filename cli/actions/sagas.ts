import { ordersContract, SagaView } from "../../services/orders/orders.contract.ts";
import { confirm } from "../lib/ask.ts";
import type { Client } from "../lib/client.ts";
import { CliError, EXIT, Misuse } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import type { ChangeOptions, CommonOptions } from "../lib/options.ts";
import { clip, plural, table } from "../lib/output.ts";
import { allRows, type PageOptions, pageLine } from "../lib/pages.ts";
import { withSession } from "../lib/session.ts";

export interface SagaListOptions extends CommonOptions, PageOptions {
  state?: string;
}
export interface SagaRedriveOptions extends ChangeOptions {
  all?: boolean;
}

const SagaPage = ordersContract.actions.sagas.result;

/** @returns the exit code */
export async function listSagas(options: SagaListOptions, io: Io): Promise<number> {
  return await withSession(options, io, async ({ client }) => {
    const { state, page, limit } = options;
    const answer = await client.request("GET", "/api/admin/sagas", SagaPage, {
      query: { state, page, limit },
    });
    if (options.json) io.printJson(answer);
    else {
      io.printRows(sagaTable(answer.sagas));
      io.say(pageLine("saga", answer.pagination));
    }
    return EXIT.ok;
  });
}

function sagaTable(sagas: readonly SagaView[]): string[] {
  const rows = sagas.map((saga) => [
    saga.number,
    saga.kind,
    saga.state,
    saga.step ?? "-",
    saga.attempts,
    clip(saga.last_error ?? "-", 30),
  ]);
  return table(["order", "kind", "state", "step", "tries", "last error"], rows);
}

/** Every saga that is not at its end. */
function openSagas(client: Client, signal: AbortSignal, state?: string) {
  return allRows(client, "/api/admin/sagas", SagaPage, {
    query: { state },
    signal,
    rowsOf: ({ sagas }) => sagas,
    idOf: ({ order_id, kind }) => `${order_id} ${kind}`,
    pageOf: (answer) => answer,
  });
}

async function findSaga(client: Client, named: string, signal: AbortSignal): Promise<SagaView> {
  for await (const saga of openSagas(client, signal)) {
    if (saga.order_id === named || saga.number.toLowerCase() === named.toLowerCase()) return saga;
  }
  throw new CliError(`The order ${named} has no saga under way, waiting or parked.`, {
    next: `What became of it: molecart order show ${named}`,
  });
}

/** @returns the exit code */
export async function showSaga(named: string, options: CommonOptions, io: Io): Promise<number> {
  return await withSession(options, io, async ({ client }) => {
    const saga = await findSaga(client, named, io.signal);
    if (options.json) io.printJson(saga);
    else {
      const rows = Object.entries(saga).map(([key, value]) => [key, value === null ? "-" : String(value)]);
      for (const line of table(["", ""], rows).slice(1)) io.print(line);
    }
    return EXIT.ok;
  });
}

/** @returns the exit code */
export async function redriveSagas(
  named: readonly string[],
  options: SagaRedriveOptions,
  io: Io,
): Promise<number> {
  if (options.all ? named.length > 0 : named.length === 0) throw new Misuse("Name the orders, or say --all.");
  return await withSession(options, io, async ({ client }) => {
    const sagas: SagaView[] = [];
    if (options.all) for await (const saga of openSagas(client, io.signal, "parked")) sagas.push(saga);
    for (const one of named) sagas.push(await findSaga(client, one, io.signal));
    const numbers = sagas.map(({ number }) => number).join(", ");
    if (sagas.length === 0) io.say("No saga is parked.");
    else if (options.dryRun) io.say(`Would run again: ${numbers}`);
    else await confirm(io, `Run ${plural(sagas.length, "saga")} again (${clip(numbers, 60)})?`, options);
    const after: SagaView[] = [];
    for (const { order_id } of options.dryRun ? [] : sagas) {
      const path = `/api/admin/sagas/${order_id}/redrive`;
      after.push(await client.request("POST", path, SagaView, { body: {} }));
    }
    if (options.json)
      io.printJson({ dry_run: options.dryRun === true, sagas: options.dryRun ? sagas : after });
    else if (after.length > 0) io.printRows(sagaTable(after));
    return after.some(({ state }) => state === "parked") ? EXIT.failed : EXIT.ok;
  });
}
