/**
 * The floor of reads: a bare moleculer-web before one bare action, with none of the shop's code. In one process
 * (`both`), or as two that talk over NATS (`gateway`, `service`).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Server } from "node:http";
import { createRequire } from "node:module";
import { ServiceBroker, type ServiceSchema } from "moleculer";

const ROLES = ["both", "gateway", "service"] as const;
type Role = (typeof ROLES)[number];

/** What the actions answer, by name: `GET /<name>`. */
export type Bodies = Record<string, object>;

export interface Floor {
  url: string;
  pids: number[];
  stop: () => void;
}

/** Starts the floor in processes of its own. @param nats its URL: gateway and service in two processes */
export async function startHello(bodies: Bodies, nats?: string): Promise<Floor> {
  const roles: Role[] = nats === undefined ? ["both"] : ["service", "gateway"];
  const children: ChildProcess[] = [];
  let url = "";
  for (const role of roles) {
    const child = spawn(process.execPath, [import.meta.filename, role, JSON.stringify(bodies), nats ?? ""], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    children.push(child);
    [url] = await once(child, "message");
  }
  const stop = () => {
    for (const child of children) child.kill("SIGKILL");
  };
  return { url, pids: children.flatMap(({ pid }) => pid ?? []), stop };
}

async function run(role: Role, bodies: Bodies, nats: string): Promise<void> {
  const broker = new ServiceBroker({
    nodeID: `hello-${role}`,
    namespace: "floor",
    logger: false,
    ...(nats === "" ? {} : { transporter: { type: "NATS", options: { url: nats } } }),
  });
  const names = Object.keys(bodies);
  if (role !== "gateway") {
    const actions = Object.fromEntries(names.map((name) => [name, () => bodies[name]]));
    broker.createService({ name: "hello", actions });
  }
  if (role !== "service") {
    const aliases = Object.fromEntries(names.map((name) => [`GET /${name}`, `hello.${name}`]));
    const web: ServiceSchema = createRequire(import.meta.url)("moleculer-web");
    broker.createService({
      name: "api",
      mixins: [web],
      settings: { port: 0, ip: "127.0.0.1", routes: [{ path: "/", aliases }] },
    });
  }
  await broker.start();
  await broker.waitForServices("hello");
  process.once("disconnect", () => process.exit());
  process.send?.(urlOf(broker));
}

function urlOf(broker: ServiceBroker): string {
  const api: object = broker.getLocalService("api") ?? {};
  const address = "server" in api && api.server instanceof Server ? api.server.address() : null;
  return typeof address === "object" && address !== null ? `http://127.0.0.1:${address.port}` : "";
}

if (process.argv[1] === import.meta.filename) {
  const [, , name, bodies = "{}", nats = ""] = process.argv;
  const role = ROLES.find((one) => one === name);
  if (role) await run(role, JSON.parse(bodies), nats);
}
