import { readFileSync } from "node:fs";

/**
 * The environment, with what `<NAME>_FILE` names read for `<NAME>`: container secrets are handed over as files. The end
 * of a last line is not part of a value.
 * @param names the variables that may come so
 * @param problems takes what is wrong
 */
export function withFiles(
  env: NodeJS.ProcessEnv,
  names: readonly string[],
  problems: string[],
): NodeJS.ProcessEnv {
  const all = { ...env };
  for (const name of names) {
    const path = env[`${name}_FILE`];
    if (!path) continue;
    if (env[name]) problems.push(`${name} and ${name}_FILE are both set`);
    try {
      all[name] = readFileSync(path, "utf8").replace(/\r?\n$/, "");
      if (all[name] === "") problems.push(`${name}_FILE: ${path} is empty`);
    } catch (error) {
      const code = typeof error === "object" && error !== null && "code" in error ? error.code : error;
      problems.push(`${name}_FILE: ${path} can't be read (${code})`);
    }
  }
  return all;
}
