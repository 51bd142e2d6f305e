import { ConfigError } from "../../lib/config.ts";
import { CliError, EXIT } from "../lib/errors.ts";
import { allowClosedPipe } from "../lib/io.ts";
import { plural } from "../lib/output.ts";
import { LocalCluster } from "./cluster.ts";
import { say } from "./say.ts";

const HELP = `npm run cluster -- [<service>[+<service>…]=<processes> …]

Starts a cluster on this machine: one process for two or three services, or as many as asked for (orders=3
inventory=2 gateway=2). It takes the servers of NATS_URL, DATABASE_URL, REDIS_URL and MONGO_URL; without them it starts
nats-server, the embedded Postgres and, if it is installed, redis-server. Data is kept in DATA_DIR (.data). The gateways
listen at PORT (8080) and the ports after it. Ctrl-C stops all of it.

  npm run cluster -- orders=3 inventory=2 gateway=2
  npm run cluster -- orders+payments=2 analytics=0      # analytics=0: without it

In a second terminal, \`npm run molecart -- health\`, and \`npm run molecart -- chaos\` to break it.`;

allowClosedPipe(process);
const args = process.argv.slice(2);
if (args.includes("--help") || args.includes("-h")) {
  process.stdout.write(`${HELP}\n`);
} else {
  await run();
}

async function run(): Promise<void> {
  let cluster: LocalCluster | undefined;
  let stopping = false;
  const stop = async () => {
    if (stopping) {
      cluster?.kill();
      return;
    }
    stopping = true;
    say("Stopping. Again to kill.");
    await cluster?.stop();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void stop());
  process.on("SIGHUP", () => void cluster?.revive());
  try {
    cluster = await LocalCluster.open(args, process.env);
    if (stopping) await cluster.stop();
    else await cluster.start();
    if (!stopping) say(`${plural(cluster.size, "node")} ready: ${cluster.urls.join(" ")}`);
  } catch (error) {
    process.exitCode = explain(error);
  }
}

function explain(error: unknown): number {
  if (error instanceof CliError) {
    say(error.message);
    if (error.next) say(error.next);
    return error.exitCode;
  }
  if (error instanceof ConfigError) {
    say(error.message);
    return EXIT.misuse;
  }
  say(error instanceof Error ? error.message : String(error));
  return EXIT.failed;
}
