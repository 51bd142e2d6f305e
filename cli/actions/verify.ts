import type { Static } from "typebox";
import { VerifyReport } from "../../services/gateway/gateway.contract.ts";
import { EXIT } from "../lib/errors.ts";
import { column, plural, print, printJson } from "../lib/output.ts";
import { adminSession, type ShopOptions } from "../lib/session.ts";

/** ms: as long as the shop's own limit, and a little for the way. */
const TIMEOUT = 125_000;

export interface VerifyOptions extends ShopOptions {
  json?: boolean;
}

/** Has the shop check its invariants and prints what it found. @returns the exit code */
export async function verify(options: VerifyOptions, env: NodeJS.ProcessEnv): Promise<number> {
  const { client, token } = await adminSession(options, env);
  const report = await client.request("GET", "/api/admin/verify", VerifyReport, { token, timeout: TIMEOUT });
  if (options.json) printJson(report);
  else for (const line of reportLines(report)) print(line);
  return report.ok ? EXIT.ok : EXIT.failed;
}

/** The report as lines of text: the invariants, what breaks them, what else to know. */
export function reportLines({ ok, invariants, notes }: Static<typeof VerifyReport>): string[] {
  const width = Math.max(0, ...invariants.map(({ name }) => name.length));
  const broken = invariants.filter((invariant) => !invariant.ok);
  return [
    ...invariants.map(
      ({ id, name, ok, checked, violations }) =>
        `${ok ? "✓" : "✗"} ${id} ${column(name, width)}  ${plural(checked, "row")} checked${
          violations.length > 0 ? `, ${plural(violations.length, "violation")}` : ""
        }`,
    ),
    ...broken.flatMap(({ id, violations }) => [
      "",
      ...violations.map(({ message, row }) => `  ${id} ${message} ${JSON.stringify(row)}`),
    ]),
    ...(notes.length > 0 ? ["", ...notes.map((note) => `  note: ${note}`)] : []),
    "",
    ok ? "All invariants hold." : `${plural(broken.length, "invariant is", "invariants are")} broken.`,
  ];
}
