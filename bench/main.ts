/** `npm run bench`: what the shop does a second, and what of the least that it could cost. `--help` tells the rest. */
import { CliError, EXIT } from "../cli/lib/errors.ts";
import { haveServers } from "../test/helpers/servers.ts";
import {
  type Bench,
  compareCheckouts,
  compareOrderNodes,
  compareProductNodes,
  compareReads,
  manyConnections,
} from "./comparisons.ts";
import { confine } from "./confine.ts";
import { type BenchOptions, HELP, type Mode, parseOptions } from "./options.ts";
import { machine, type Result, tableText } from "./report.ts";
import {
  CLUSTER,
  openGround,
  type RunningShop,
  startCluster,
  startEmbedded,
  stocked,
  untilSeeded,
  withCopies,
} from "./shop.ts";

async function main(args: string[]): Promise<void> {
  const options = parseOptions(args);
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  assertServers(options);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const results: Result[] = [];
  const ground = await openGround();
  try {
    for (const mode of options.modes) {
      for await (const result of measure(mode, { ground, options, say })) {
        results.push(result);
        if (!options.json) process.stdout.write(`\n${tableText(result)}\n\n`);
      }
    }
  } finally {
    await ground.close();
  }
  if (options.json)
    process.stdout.write(`${JSON.stringify({ machine: machine(), options, results }, null, 2)}\n`);
}

async function* measure(mode: Mode, bench: Bench): AsyncGenerator<Result> {
  const { ground, options, say } = bench;
  const wanted = (name: BenchOptions["loads"][number]) => options.loads.includes(name);
  say(`Starting the shop: ${mode}`);
  if (mode === "nodes") {
    if (wanted("reads")) yield await onNodes(bench, "products", (shops) => compareProductNodes(bench, shops));
    if (wanted("checkout")) yield await onNodes(bench, "orders", (shops) => compareOrderNodes(bench, shops));
    return;
  }
  const running =
    mode === "embedded"
      ? await startEmbedded(ground)
      : await startCluster(ground, mode, CLUSTER, options.redis);
  try {
    await untilSeeded(running);
    const shop = await stocked(running);
    if (wanted("reads")) yield await compareReads(bench, mode, shop);
    if (wanted("connections")) yield await manyConnections(bench, mode, shop);
    if (wanted("checkout")) yield await compareCheckouts(bench, mode, shop);
  } finally {
    await running.stop();
  }
}

/** Compares clusters with one, two and three nodes of a service. All of them run, and who has no turn waits. */
async function onNodes(
  { ground, options }: Bench,
  service: string,
  compareOn: (shops: readonly RunningShop[]) => Promise<Result>,
): Promise<Result> {
  const shops: RunningShop[] = [];
  let free = async () => {};
  try {
    for (const copies of [1, 2, 3])
      shops.push(
        await startCluster(ground, `${service}_${copies}`, withCopies(service, copies), options.redis),
      );
    const { nodeCpu } = options;
    // A layout names its copies last.
    const copied = shops.flatMap(({ pids }, index) => pids.slice(-1 - index));
    if (nodeCpu !== undefined) free = await confine(copied, nodeCpu);
    return await compareOn(shops);
  } finally {
    await Promise.all(shops.map((shop) => shop.stop()));
    await free();
  }
}

/** @throws CliError if the PATH lacks a server that the run needs */
function assertServers({ modes, redis }: BenchOptions): void {
  const needed = [
    ...(modes.some((mode) => mode !== "embedded") ? (["nats"] as const) : []),
    ...(redis ? (["redis"] as const) : []),
  ];
  if (!haveServers(...needed))
    throw new CliError("A server is missing.", { next: "Install it, or leave its part out." });
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof CliError)) throw error;
  process.stderr.write(`${error.message}${error.next ? `\n${error.next}` : ""}\n`);
  process.exitCode = error.exitCode;
}
process.exit(process.exitCode ?? EXIT.ok);
