import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { isEmbedded } from "../../lib/config.ts";
import packageJson from "../../package.json" with { type: "json" };
import { createClient } from "../lib/client.ts";
import { CliError, codeOf, EXIT } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import type { CommonOptions } from "../lib/options.ts";
import { Profiles } from "../lib/profiles.ts";
import { findShop, isLocal } from "../lib/session.ts";
import { settingsOf } from "./config.ts";
import { look } from "./health.ts";

export interface Finding {
  check: string;
  /** `warn` is worth knowing and breaks nothing. */
  status: "ok" | "warn" | "fail";
  message: string;
  /** What to do about it. */
  next?: string;
}

/** s that the shop's clock may be off. */
const SKEW = 5;
/** ms for a port to answer. */
const PORT_TIMEOUT = 500;

/** Looks for what is wrong on this machine and with the shop, and says what to do. @returns the exit code */
export async function doctor(options: CommonOptions, io: Io): Promise<number> {
  const findings = [
    nodeVersion(process.versions.node),
    configuration(io.env),
    ...(await Promise.all([dataDirectory(io.env), secretsFile(io.env), profilesFile(io.env), port(io.env)])),
    ...(await shop(options, io)),
  ];
  if (options.json) io.printJson({ ok: findings.every(({ status }) => status !== "fail"), findings });
  else {
    const marks = { ok: "✓", warn: "!", fail: "✗" };
    for (const { check, status, message, next } of findings) {
      io.print(`${marks[status]} ${check.padEnd(14)} ${message}`);
      if (next !== undefined) io.print(`${" ".repeat(17)}→ ${next}`);
    }
  }
  return findings.some(({ status }) => status === "fail") ? EXIT.failed : EXIT.ok;
}

export function nodeVersion(version: string): Finding {
  const check = "Node";
  const needed = Number(/\d+/.exec(packageJson.engines.node)?.[0]);
  if (Number(version.split(".")[0]) >= needed)
    return { check, status: "ok", message: `${version}, molecart ${packageJson.version}` };
  const next = "Run it by npm (`npm run molecart -- doctor`), which brings the right one.";
  return { check, status: "fail", message: `${version} is too old: ${needed} or newer is needed`, next };
}

function configuration(env: NodeJS.ProcessEnv): Finding {
  const check = "configuration";
  try {
    settingsOf(env);
    return { check, status: "ok", message: "the environment is valid" };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const message = error.message.replace(/\s+/g, " ");
    return { check, status: "fail", message, next: error.next };
  }
}

const dataDirOf = (env: NodeJS.ProcessEnv) => env.DATA_DIR || ".data";

export async function dataDirectory(env: NodeJS.ProcessEnv): Promise<Finding> {
  const check = "DATA_DIR";
  if (!isEmbedded(env)) return { check, status: "ok", message: "not needed with DATABASE_URL" };
  const path = dataDirOf(env);
  try {
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return { check, status: "ok", message: `${path} can be written` };
  } catch (error) {
    if (codeOf(error) === "ENOENT")
      return { check, status: "ok", message: `${path} is made at the first start` };
    return {
      check,
      status: "fail",
      message: `${path} can't be written`,
      next: `Make it yours: chown -R "$USER" ${path}`,
    };
  }
}

export async function secretsFile(env: NodeJS.ProcessEnv): Promise<Finding> {
  const check = "secrets";
  if (!isEmbedded(env)) return { check, status: "ok", message: "they come from the environment" };
  return await privateFile(check, join(dataDirOf(env), "secrets.json"), "made at the first start");
}

async function profilesFile(env: NodeJS.ProcessEnv): Promise<Finding> {
  return await privateFile("logins", new Profiles(env).path, "none are kept");
}

/** A file that nobody else may read. */
async function privateFile(check: string, path: string, missing: string): Promise<Finding> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) === 0) return { check, status: "ok", message: `${path} is yours alone` };
    const message = `${path} can be read by others (mode ${(mode & 0o777).toString(8)})`;
    return { check, status: "fail", message, next: `chmod 600 ${path}` };
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR")
      return { check, status: "ok", message: missing };
    return { check, status: "fail", message: `${path} can't be looked at`, next: "Mend its permissions." };
  }
}

/** Whether something else than a shop holds the port that `npm start` wants. */
async function port(env: NodeJS.ProcessEnv): Promise<Finding> {
  const check = "port";
  const number = Number(env.PORT || 8080);
  // A PORT that is none is told of as configuration.
  if (!(number > 0 && number < 65_536)) return { check, status: "ok", message: "none is named" };
  if (!(await answers(number)))
    return { check, status: "ok", message: `${number} is free for \`npm start\`` };
  try {
    await createClient(`http://127.0.0.1:${number}`).reach();
    return { check, status: "ok", message: `a shop is on ${number}` };
  } catch {
    const message = `something else than a shop is on ${number}`;
    return {
      check,
      status: "warn",
      message,
      next: `Start the shop on another: PORT=${number + 1} npm start`,
    };
  }
}

function answers(number: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port: number, host: "127.0.0.1", timeout: PORT_TIMEOUT });
    const end = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket
      .once("connect", () => end(true))
      .once("error", () => end(false))
      .once("timeout", () => end(false));
  });
}

async function shop(options: CommonOptions, io: Io): Promise<Finding[]> {
  try {
    const { url, from } = await findShop(options, io.env);
    const client = createClient(url, { signal: io.signal });
    await client.reach();
    const before = Date.now();
    const response = await client.send("GET", "/health/live");
    const report = await look(client);
    const ill = Object.entries(report.services).flatMap(([name, { status }]) =>
      status === "healthy" ? [] : [name],
    );
    return [
      { check: "shop", status: "ok", message: `answers at ${url} (by ${from})` },
      ...(new URL(url).protocol === "http:" && !isLocal(url) ? [plainHttp] : []),
      clock(response.headers.get("date"), before, Date.now()),
      report.status === "healthy"
        ? { check: "services", status: "ok", message: "all are healthy" }
        : {
            check: "services",
            status: report.ok ? "warn" : "fail",
            message: `${report.status}: ${ill.join(", ") || report.error}`,
            next: "Look at them with `molecart health`, and at the shop's log.",
          },
    ];
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return [{ check: "shop", status: "fail", message: error.message, next: error.next }];
  }
}

const plainHttp: Finding = {
  check: "encryption",
  status: "warn",
  message: "passwords and tokens go to this shop in the clear",
  next: "Use its https:// address.",
};

/** @param date the answer's header, cut to seconds @param before and @param after ms, when it was asked for and came */
export function clock(date: string | null, before: number, after: number): Finding {
  const check = "clock";
  const theirs = Date.parse(date ?? "");
  if (Number.isNaN(theirs)) return { check, status: "warn", message: "the shop doesn't tell its time" };
  // It was made between the two, and up to a second was cut off.
  const off = theirs > after ? theirs - after : Math.min(0, theirs + 1000 - before);
  if (Math.abs(off) <= SKEW * 1000) return { check, status: "ok", message: "agrees with the shop's" };
  const message = `the shop's is ${Math.round(Math.abs(off) / 1000)} s ${off > 0 ? "ahead of" : "behind"} this machine's`;
  return { check, status: "fail", message, next: "Have both keep time by NTP: tokens end by the clock." };
}
