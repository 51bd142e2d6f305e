import type { ServiceBroker } from "moleculer";
import { Check } from "typebox/value";
import { ShopStatus } from "../../services/gateway/status.contract.ts";
import { CliError, messageOf } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { Latencies } from "../lib/latencies.ts";
import { table } from "../lib/output.ts";
import { type BenchArgs, type CallArgs, metaOf, paramsOf, type Reach } from "./stock-commands.ts";

/** Moleculer's commands as a pipe wants them: each answer is one line of JSON on stdout, a failure a line on stderr. */

/** What the lists show of this node's registry. */
const LISTS: Record<string, (broker: ServiceBroker) => unknown[]> = {
  nodes: ({ registry }) =>
    registry
      .getNodeList({ onlyAvailable: false, withServices: false })
      .map(({ id, available, local, hostname, ipList, cpu, client }) => ({
        ...{ id, available, local, hostname, ips: ipList, cpu, version: client.version },
      })),
  services: ({ registry }) =>
    registry.getServiceList({ onlyAvailable: true, skipInternal: true }).map(({ name, nodeID }) => ({
      ...{ name, node: nodeID },
    })),
  actions: ({ registry }) =>
    registry
      .getActionList({ onlyAvailable: true, skipInternal: true })
      .map(({ name, count }) => ({ name, nodes: count })),
  events: ({ registry }) =>
    registry.getEventList({ onlyAvailable: true, skipInternal: true }).map(({ name, group, count }) => ({
      ...{ name, group, nodes: count },
    })),
};

/** Whether a command has a form of its own in a pipe. Over REST no node is known, and no event. */
export function isList(name: string, reach: Reach): boolean {
  return Object.hasOwn(LISTS, name) && (reach !== "rest" || name === "services" || name === "actions");
}

export function printList(name: string, broker: ServiceBroker, io: Io): void {
  for (const one of LISTS[name]?.(broker) ?? []) io.printLine(one);
}

/** Over REST: the nodes that the gateway knows of. @returns true */
export async function printShopsNodes(broker: ServiceBroker, isPipe: boolean, io: Io): Promise<boolean> {
  const status: unknown = await broker.call("gateway.status", {});
  if (!Check(ShopStatus, status))
    throw new CliError("The shop's status has a shape that this molecart doesn't know.");
  if (isPipe)
    for (const { id, state, services } of status.nodes)
      io.printLine({ id, state, services: services.map(({ name }) => name) });
  else {
    const rows = status.nodes.map(({ id, state, services }) => [
      id,
      state,
      services.map(({ name }) => name).join(" "),
    ]);
    for (const line of table(["node", "state", "services"], rows)) io.print(line);
  }
  return true;
}

export async function callPlainly(broker: ServiceBroker, args: CallArgs, io: Io): Promise<void> {
  const { nodeID } = args;
  const options = { meta: metaOf(args), ...(nodeID === undefined ? {} : { nodeID }) };
  try {
    io.printLine((await broker.call<unknown, unknown>(args.actionName, paramsOf(args), options)) ?? null);
  } catch (error) {
    io.say(`${args.actionName}: ${messageOf(error)}${typeOf(error)}`);
  }
}

const typeOf = (error: unknown) =>
  typeof error === "object" && error !== null && "type" in error ? ` (${error.type})` : "";

export async function benchPlainly(broker: ServiceBroker, args: BenchArgs, io: Io): Promise<void> {
  const params = args.jsonParams === undefined ? {} : paramsOf({ ...args, options: {} });
  const count = args.options.num === undefined ? Number.POSITIVE_INFINITY : Number(args.options.num);
  const seconds = Number(args.options.time ?? (Number.isFinite(count) ? 60 : 5));
  const times = new Latencies();
  let errors = 0;
  const started = performance.now();
  while (times.count < count && performance.now() - started < seconds * 1000 && !io.signal.aborted) {
    const asked = performance.now();
    await broker.call<unknown, unknown>(args.action, params).catch(() => errors++);
    times.add(performance.now() - asked);
  }
  const rate = Math.round((times.count / (performance.now() - started)) * 10_000) / 10;
  const [p50, p99] = [times.percentile(0.5), times.percentile(0.99)];
  io.printLine({ action: args.action, requests: times.count, errors, per_second: rate, ms: { p50, p99 } });
}
