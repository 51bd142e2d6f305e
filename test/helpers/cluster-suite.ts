import { afterAll, beforeAll, describe, expect } from "@jest/globals";
import type { ProgramKind } from "../../cli/cluster/server-kinds.ts";
import { adminToken } from "./client.ts";
import type { ClientLog } from "./client-log.ts";
import { type Cluster, type ClusterOptions, startCluster } from "./cluster.ts";
import { broken, settled } from "./invariants.ts";
import { haveServers } from "./servers.ts";

/** The cluster that the tests of one `describe` break together. */
class ClusterSuite implements Cluster {
  /** An access token of its admin. */
  admin = "";
  #started: Cluster | undefined;

  async begin(layout: Record<string, string>, options: ClusterOptions): Promise<void> {
    this.#started = await startCluster(layout, options);
    this.admin = await adminToken(this);
  }

  /** Waits until nothing is under way, and has every invariant hold: in the stores, and against what clients were told. */
  async expectSound(log: ClientLog): Promise<void> {
    await settled(this);
    expect(await broken(this, log, this.admin)).toEqual([]);
  }

  get #cluster(): Cluster {
    if (!this.#started) throw new Error("The cluster has not been started.");
    return this.#started;
  }
  get url() {
    return this.#cluster.url;
  }
  get postgres() {
    return this.#cluster.postgres;
  }
  get nats() {
    return this.#cluster.nats;
  }
  get redis() {
    return this.#cluster.redis;
  }
  get mongo() {
    return this.#cluster.mongo;
  }
  get names() {
    return this.#cluster.names;
  }
  get sql() {
    return this.#cluster.sql;
  }
  wire = (kind: ProgramKind) => this.#cluster.wire(kind);
  node = (name: string) => this.#cluster.node(name);
  start = (name: string, env?: Record<string, string>) => this.#cluster.start(name, env);
  probe = (name: string) => this.#cluster.probe(name);
  failing = (name: string, timeout?: number) => this.#cluster.failing(name, timeout);
  stop = async () => await this.#started?.stop();
}

/** Describes a cluster that is started before the tests and stopped after them; skipped, loudly, where a server is missing. */
export function describeCluster(
  title: string,
  layout: Record<string, string>,
  options: ClusterOptions,
  tests: (cluster: ClusterSuite) => void,
): void {
  const isPossible = haveServers("nats", ...(options.servers ?? []));
  (isPossible ? describe : describe.skip)(title, () => {
    const cluster = new ClusterSuite();
    beforeAll(() => cluster.begin(layout, options), 120_000);
    afterAll(() => cluster.stop(), 60_000);
    tests(cluster);
  });
}
