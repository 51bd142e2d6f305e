import type { Static } from "typebox";
import { VerifyReport } from "../../services/gateway/gateway.contract.ts";
import { EXIT } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import type { CommonOptions } from "../lib/options.ts";
import { plural, table } from "../lib/output.ts";
import { withSession } from "../lib/session.ts";

/** ms: as long as the shop's own limit, and a little for the way. */
const TIMEOUT = 125_000;

/** Has the shop check its invariants and prints what it found. @returns the exit code */
export async function verify(options: CommonOptions, io: Io): Promise<number> {
  const report = await withSession(options, io, ({ client }) =>
    client.request("GET", "/api/admin/verify", VerifyReport, { timeout: TIMEOUT }),
  );
  if (options.json) io.printJson(report);
  else for (const line of reportLines(report)) io.print(line);
  return report.ok ? EXIT.ok : EXIT.failed;
}

/** The report as lines of text: the invariants, what breaks them, what else to know. */
export function reportLines({ ok, invariants, notes }: Static<typeof VerifyReport>): string[] {
  const broken = invariants.filter((invariant) => !invariant.ok);
  return [
    ...table(
      ["", "rows", ""],
      invariants.map(({ id, name, ok, checked, violations }) => [
        `${ok ? "✓" : "✗"} ${id} ${name}`,
        checked,
        violations.length > 0 ? plural(violations.length, "violation") : "",
      ]),
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
