import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import pg from "pg";
import { eventually } from "./client.ts";

const CHILD = join(import.meta.dirname, "embedded-postgres-child.ts");

interface Line {
  url?: string;
  error?: string;
  stopped?: boolean;
  signal?: string;
}

/** A process that runs embedded-postgres-child.ts, or a script like it, in a process group of its own as below a terminal. */
class PostgresShop {
  readonly process: ChildProcessByStdio<Writable, Readable, null>;
  readonly exited: Promise<unknown[]>;
  private readonly lines: AsyncIterator<string>;

  constructor(...child: string[]) {
    const flags = ["--disable-warning=ExperimentalWarning", ...child];
    this.process = spawn(process.execPath, flags, { detached: true, stdio: ["pipe", "pipe", "inherit"] });
    this.exited = once(this.process, "exit");
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  async says(): Promise<Line> {
    const { value, done } = await this.lines.next();
    return done ? { error: "it ended without a word" } : JSON.parse(value);
  }

  async url(): Promise<string> {
    const { url, error } = await this.says();
    if (url === undefined) throw new Error(error);
    return url;
  }

  /** Ends its stdin; returns its exit code. */
  async stop(): Promise<unknown> {
    this.process.stdin.end();
    const [code] = await this.exited;
    return code;
  }
}

/** The shops that a test opens on one DATA_DIR, and the Postgres that they find there. */
export class PostgresShops {
  dataDir = "";
  #shops: PostgresShop[] = [];

  /** @param child another script than embedded-postgres-child.ts on the DATA_DIR, and its arguments */
  open(...child: string[]): PostgresShop {
    const shop = child.length > 0 ? new PostgresShop(...child) : new PostgresShop(CHILD, this.dataDir);
    this.#shops.push(shop);
    return shop;
  }

  /** Stops all of them, and waits until their Postgres has gone. */
  async stop(): Promise<void> {
    for (const shop of this.#shops.splice(0)) await shop.stop();
    await eventually(async () => !(await this.hasPidFile()));
  }

  get pidFile(): string {
    return join(this.dataDir, "postgres", "postmaster.pid");
  }

  async postmasterPid(): Promise<number> {
    return Number.parseInt(await readFile(this.pidFile, "utf8"), 10);
  }

  hasPidFile(): Promise<boolean> {
    return stat(this.pidFile).then(
      () => true,
      () => false,
    );
  }

  /** Postgres has gone in good order: nothing listens, and it took its pid file along. */
  async isGone(url: string): Promise<boolean> {
    return !(await answers(url)) && !(await this.hasPidFile());
  }

  /** The pid of what would stop the Postgres if its shop were killed. */
  async guardianPid(): Promise<number> {
    const status = await readFile(`/proc/${await this.postmasterPid()}/status`, "utf8");
    return Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1]);
  }
}

/** Whether something listens at a Postgres URL. */
export function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port) });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** @returns the values of all rows in one list */
export async function valuesOf(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {}); // the server may be killed under it
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: "array" })).rows.flat();
  } finally {
    await client.end();
  }
}
