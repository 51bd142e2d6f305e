import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Type, { type Static } from "typebox";
import { Check } from "typebox/value";

const Pid = Type.Union([Type.Integer({ minimum: 2 }), Type.Null()]);

/** What stands in `DATA_DIR/cluster.json` while the cluster runs: for those who watch it, and those who break it. */
export const ClusterState = Type.Object({
  /** Of the process that runs the cluster. SIGHUP has it start again what has ended. */
  pid: Type.Integer({ minimum: 2 }),
  /** Where its gateways listen. */
  urls: Type.Array(Type.String()),
  /** Process ids of the servers it started, by name; null while one is down. */
  servers: Type.Record(Type.String(), Pid),
  nodes: Type.Array(
    Type.Object({
      name: Type.String(),
      services: Type.Array(Type.String()),
      /** Null while it is down. */
      pid: Pid,
      /** The gateway's port, null for nodes that have none. */
      port: Type.Union([Type.Integer(), Type.Null()]),
      /** Where it answers `/health/live`, `/health/ready` and `/metrics`. */
      probe_port: Type.Integer(),
    }),
  ),
});
export type ClusterState = Static<typeof ClusterState>;

export const stateFile = (dataDir: string) => join(dataDir, "cluster.json");

export async function writeState(dataDir: string, state: ClusterState): Promise<void> {
  const path = stateFile(dataDir);
  await writeFile(`${path}.new`, `${JSON.stringify(state, null, 2)}\n`);
  await rename(`${path}.new`, path);
}

/** What a cluster says of itself, or undefined if none does. One that was killed leaves its file behind. */
export async function readState(dataDir: string): Promise<ClusterState | undefined> {
  try {
    const state: unknown = JSON.parse(await readFile(stateFile(dataDir), "utf8"));
    return Check(ClusterState, state) ? state : undefined;
  } catch {
    return undefined;
  }
}
