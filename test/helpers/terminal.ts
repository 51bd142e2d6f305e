import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { eventually } from "./client.ts";

/** Whether a program is on the PATH. */
export function isProgram(name: string): boolean {
  return (process.env.PATH ?? "").split(":").some((directory) => {
    try {
      accessSync(`${directory}/${name}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** util-linux's `script` runs a command in a pseudo-terminal. */
export const hasTerminal = process.platform === "linux" && isProgram("script");

export interface Terminal {
  /** All that came, with what a terminal obeys. */
  raw: () => string;
  /** The same as lines of letters: each frame that was drawn below the one before. */
  lines: () => string[];
  shows: (text: string | RegExp, timeout?: number) => Promise<unknown>;
  press: (keys: string) => void;
  /** Its exit code, once it has ended. */
  exited: Promise<number>;
  /** Ends it, however it is. */
  close: () => void;
}

/**
 * Runs `molecart` in a pseudo-terminal of 80×24, with nothing of the test's environment but PATH.
 * @param options.inShell below a shell with jobs, which at Ctrl-Z brings it back at once
 */
export function openTerminal(
  command: string,
  env: Record<string, string>,
  { inShell = false } = {},
): Terminal {
  const molecart = `${process.execPath} cli/bin.js ${command}`;
  const run = inShell ? `set -m; ${molecart}; fg` : `exec ${molecart}`;
  const child = spawn("script", ["-qefc", `stty cols 80 rows 24; ${run}`, "/dev/null"], {
    env: {
      PATH: process.env.PATH ?? "",
      XDG_CONFIG_HOME: "/nonexistent",
      TERM: "xterm-256color",
      ...env,
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let screen = "";
  child.stdout.on("data", (chunk: Buffer) => (screen += chunk.toString()));
  const exited = once(child, "close").then(([code]) => Number(code));
  const shows = (text: string | RegExp) =>
    typeof text === "string" ? screen.includes(text) : text.test(stripVTControlCharacters(screen));
  return {
    raw: () => screen,
    lines: () => stripVTControlCharacters(screen).split(/\r*\n|\r/),
    async shows(text, timeout) {
      await eventually(async () => shows(text), timeout).catch(() => {
        throw new Error(`The terminal did not show ${text}:\n${stripVTControlCharacters(screen)}`);
      });
    },
    press: (keys) => void child.stdin.write(keys),
    exited,
    close() {
      child.stdin.destroy();
      child.kill("SIGKILL");
    },
  };
}
