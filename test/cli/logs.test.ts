import { appendFile, mkdir, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, jest } from "@jest/globals";
import { type LogsOptions, logs } from "../../cli/actions/logs.ts";
import { nodesOf, readLines } from "../../cli/logs/log-files.ts";
import { openLogFile } from "../../lib/log-file.ts";
import { eventually } from "../helpers/client.ts";
import { act, withDirectory } from "./support.ts";

const START = Date.parse("2026-01-01T00:00:00.000Z");
const line = (second: number, msg: string, more: object = {}) =>
  `${JSON.stringify({ level: 30, time: START + second * 1000, mod: "orders", msg, ...more })}\n`;

/** Two nodes, the first with two files. */
async function withLogs<T>(work: (dataDir: string) => Promise<T>): Promise<T> {
  return await withDirectory(async (dataDir) => {
    const write = async (node: string, file: string, ...lines: string[]) => {
      await mkdir(join(dataDir, "logs", node), { recursive: true });
      await writeFile(join(dataDir, "logs", node, file), lines.join(""));
    };
    await write("a", "log.9.log", line(1, "one"), line(3, "three", { level: 50, request_id: "r-1" }));
    await write("a", "log.10.log", line(5, "five"), '{"level":30,"time":17');
    await write("b", "log.1.log", line(2, "two", { level: 40 }), line(4, "four", { svc: "payments" }));
    return await work(dataDir);
  });
}

const shown = async (dataDir: string, options: LogsOptions) => {
  const ran = await act((io) => logs({ ...options, json: true }, io), { env: { DATA_DIR: dataDir } });
  return ran.stdout === "" ? [] : ran.lines().map((one) => Object(one).msg);
};

describe("molecart logs", () => {
  it("puts the nodes' lines together by time, and leaves out half a line", async () => {
    await withLogs(async (dataDir) => {
      expect(await shown(dataDir, {})).toEqual(["one", "two", "three", "four", "five"]);
      const ran = await act((io) => logs({}, io), { env: { DATA_DIR: dataDir } });
      const lines = ran.stdout.trimEnd().split("\n");
      expect(lines).toHaveLength(5);
      expect(lines[1]).toMatch(/^b \| \[2026-01-01 .*\] WARN/);
    });
  });

  it.each([
    [{ tail: 2 }, ["four", "five"]],
    [{ level: "warn" }, ["two", "three"]],
    [{ node: ["b"] }, ["two", "four"]],
    [{ grep: "f(ou|ive)" }, ["four", "five"]],
    [{ request: "r-1" }, ["three"]],
    [{ service: ["payments"] }, ["four"]],
    [{ tail: 1, level: "error" }, ["three"]],
    [{ since: "2026-01-01T00:00:04Z" }, ["four", "five"]],
    [{ since: "10m" }, []],
  ])("%j shows %j", async (options, expected) => {
    await withLogs(async (dataDir) => expect(await shown(dataDir, options)).toEqual(expected));
  });

  it("says so where no line is one of those asked for, as of a mistyped service", async () => {
    await withLogs(async (dataDir) => {
      const ran = await act((io) => logs({ service: ["payment"] }, io), { env: { DATA_DIR: dataDir } });
      expect(ran).toMatchObject({ code: 0, stdout: "", stderr: "No lines.\n" });
    });
  });

  it("follows what comes, in new files and of new nodes too", async () => {
    await withLogs(async (dataDir) => {
      const stop = new AbortController();
      let stdout = "";
      const running = act((io) => logs({ follow: true, json: true, tail: 0 }, io), {
        env: { DATA_DIR: dataDir },
        signal: stop.signal,
        seen: (all) => {
          stdout = all;
        },
      });
      const add = async (node: string, file: string, text: string) => {
        await mkdir(join(dataDir, "logs", node), { recursive: true });
        await appendFile(join(dataDir, "logs", node, file), text);
      };
      // Until it has read what was there.
      await eventually(async () => {
        await add("b", "log.1.log", line(6, "six"));
        await delay(20);
        return stdout.includes("six");
      });
      await add("b", "log.2.log", line(7, "seven"));
      await add("c", "log.1.log", line(8, "eight").slice(0, 20));
      await eventually(async () => stdout.includes("seven"));
      expect(stdout).not.toContain("eight");
      await add("c", "log.1.log", line(8, "eight").slice(20));
      await eventually(async () => stdout.includes("eight"));
      stop.abort();
      expect((await running).code).toBe(0);
    });
  });

  it("says where there are none, and what was misused", async () => {
    await withLogs(async (dataDir) => {
      const env = { DATA_DIR: dataDir };
      const none = await act((io) => logs({}, io), { env: { DATA_DIR: join(dataDir, "none") } });
      expect(none).toMatchObject({ code: 1, stdout: "" });
      expect(none.stderr).toMatch(/There are no logs in .*\nSet DATA_DIR/);
      for (const options of [{ grep: "(" }, { since: "yesterday" }, { node: ["z"] }])
        expect(await act((io) => logs(options, io), { env })).toMatchObject({ code: 2, stdout: "" });
    });
  });
});

describe("a node's log file", () => {
  it("is rolled, bounded, readable by its owner alone, and off where it is not wanted", async () => {
    await withDirectory(async (dataDir) => {
      expect(openLogFile({ LOG_FILES: false, DATA_DIR: dataDir, NODE_ID: "" })).toBeUndefined();
      const open = () => openLogFile({ LOG_FILES: true, DATA_DIR: dataDir, NODE_ID: "../a b" });
      const text = "x".repeat(1_000_000);
      let written = 0;
      // A node that is started anew goes on where it was.
      for (const count of [25, 45]) {
        const file = open();
        for (let made = 0; made < count; made++) file?.write(line(written++, text));
      }
      const [files] = await nodesOf(join(dataDir, "logs"));
      expect(files?.node).toBe("___a_b");
      expect(files?.paths.map((path) => basename(path))).toEqual(
        [4, 5, 6, 7, 8].map((number) => `log.${number}.log`),
      );
      for (const path of files?.paths ?? []) {
        const { size, mode } = await stat(path);
        expect([size <= 10_000_000, mode & 0o777]).toEqual([true, 0o600]);
      }
      const times = [];
      for await (const { time } of readLines(await nodesOf(join(dataDir, "logs")), new Map()))
        times.push((time - START) / 1000);
      expect(times.at(-1)).toBe(written - 1);
      expect(times).toEqual(times.map((_, index) => written - times.length + index));
    });
  });

  it("that can't be made keeps nobody from starting", async () => {
    await withDirectory(async (dataDir) => {
      await writeFile(join(dataDir, "logs"), "");
      const told = jest.spyOn(console, "error").mockReturnValue();
      expect(openLogFile({ LOG_FILES: true, DATA_DIR: dataDir, NODE_ID: "" })).toBeUndefined();
      expect(told).toHaveBeenCalledWith(expect.stringContaining("No log is kept in"));
      told.mockRestore();
    });
  });
});
