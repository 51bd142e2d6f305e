import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { loadConfig } from "../../lib/config.ts";
import type { ActionSpec } from "../../lib/contract.ts";
import * as failures from "../../lib/errors.ts";
import { ERROR_CODES, failureResponse } from "../../services/gateway/failure-response.ts";
import { type RestRoute, restRoutes } from "../../services/gateway/routes.ts";
import { SECRETS } from "../helpers/env.ts";

/** What docs/ says of routes, errors and variables is what the code says: neither can change alone. */

const ROOT = resolve(import.meta.dirname, "../..");
/** A page without its blocks of code. */
const read = (page: string) => readFileSync(join(ROOT, page), "utf8").replace(/^```[\s\S]*?^```/gm, "");
const api = read("docs/api.md");

/** The cells of all table rows of a page, their heads among them. */
function rowsOf(markdown: string): string[][] {
  const rows = markdown.split("\n").filter((line) => line.startsWith("| "));
  return rows.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** What stands in code quotes in a text. */
function codesIn(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
}

/** The text from a heading of this name to the next of its level or above. */
function sectionOf(markdown: string, name: string): string {
  const [, section = ""] = markdown.split(new RegExp(`^### ${name}$`, "m"));
  return section.split(/^##+ /m)[0] ?? "";
}

const sorted = (values: Iterable<string>) => [...values].sort();

function whoMay({ permissions }: ActionSpec): string {
  if (permissions.includes("public")) return "anyone";
  return permissions.includes("user") ? "user" : "admin";
}

const nameOf = ({ method, path }: RestRoute) => `${method} ${path}`;
const routeRows = new Map(
  rowsOf(api).flatMap(([routes = "", who = "", answers = "", what = ""]) =>
    codesIn(routes)
      .filter((code) => /^[A-Z]+ \//.test(code))
      .map((route) => [route, { routes: codesIn(routes), who, answers: Number(answers), what }] as const),
  ),
);

describe("docs/api.md", () => {
  it("has every route of every contract, and no other", () => {
    expect(sorted(routeRows.keys())).toEqual(sorted(restRoutes.map(nameOf)));
  });

  it("names nowhere a route that isn't there", () => {
    const named = codesIn(api).filter((code) => /^(GET|POST|PUT|PATCH|DELETE) \//.test(code));
    const known = new Set(restRoutes.map(nameOf));
    expect(named.filter((route) => !known.has(route))).toEqual([]);
  });

  it.each(restRoutes.map((route) => [nameOf(route), route] as const))(
    "says of %s what it is",
    (name, route) => {
      const { spec, action } = route;
      const row = routeRows.get(name);
      expect({
        who: row?.who,
        answers: row?.answers,
        takesKey: row?.what.includes("`Idempotency-Key`"),
        alike: sorted(row?.routes ?? []),
      }).toEqual({
        who: whoMay(spec),
        answers: spec.status ?? 200,
        takesKey: spec.idempotencyKey ?? false,
        alike: sorted(restRoutes.filter((other) => other.action === action).map(nameOf)),
      });
    },
  );

  it("names every param in the section of its service", () => {
    // Pages are told of once; what the gateway makes of a stream or a raw body no client sends.
    const general = new Set(["page", "limit", "per_page", "media_type", "raw_body", "headers"]);
    const missing = restRoutes.flatMap(({ action, spec, pathParams }) => {
      const [service = ""] = action.split(".");
      const words = new Set(codesIn(sectionOf(api, service)).flatMap((code) => code.match(/\w+/g) ?? []));
      return Object.keys(spec.params.properties)
        .filter((name) => !general.has(name) && !pathParams.includes(name) && !words.has(name))
        .map((name) => `${action}: ${name}`);
    });
    expect(missing).toEqual([]);
  });

  it("has every error code with its status, and no other", () => {
    const documented = rowsOf(api).filter(([code = ""]) => /^`[A-Z_]+`$/.test(code));
    expect(
      sorted(documented.map(([code = "", status = ""]) => `${code.replaceAll("`", "")} ${status}`)),
    ).toEqual(sorted(ERROR_CODES.map((code) => `${code} ${statuses.get(code)}`)));
  });
});

/** The status of each code: of the failures that are declared, and of what the gateway makes of all others. */
const statuses = new Map<string, number>([
  ...Object.values(failures).flatMap((value): [string, number][] =>
    typeof value === "function" && "code" in value && "status" in value
      ? [[String(value.code), Number(value.status)]]
      : [],
  ),
  ...["REQUEST_TIMEOUT", "SERVICE_NOT_FOUND", "a bug"].map((type): [string, number] => {
    const { status, body } = failureResponse(Object.assign(new Error(), { type }), "");
    return [body.code, status];
  }),
]);

describe("docs/configuration.md", () => {
  const own = { databaseUrl: "postgres://localhost/shop", secrets: SECRETS };
  const defaults = new Map(Object.entries(loadConfig({}, own)));
  const rows = rowsOf(read("docs/configuration.md")).filter(([name = ""]) => /^`[A-Z_]+`$/.test(name));
  const variables = rows.map(([name = "", value = ""]) => [name.replaceAll("`", ""), value] as const);

  it("has every variable that the configuration reads, and no other", () => {
    const known = [...defaults.keys()].filter((name) => /^[A-Z_]+$/.test(name));
    expect(sorted(variables.map(([name]) => name))).toEqual(sorted(known));
  });

  const plain = variables.flatMap(([name, value]) =>
    /^`[^`]+`$/.test(value) ? [[name, value.replaceAll("`", "")] as const] : [],
  );

  it.each(plain)("gives %s's default as it is: %s", (name, value) => {
    expect(new Map(Object.entries(loadConfig({ [name]: value }, own))).get(name)).toEqual(defaults.get(name));
  });
});

describe("links", () => {
  const inDocs = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" });
  const pages = ["README.md", ...inDocs.filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)];

  it.each(pages)("of %s lead to files and headings that exist", (page) => {
    const targets = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
    for (const target of targets.filter((one) => !/^https?:/.test(one))) {
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : join(dirname(page), path);
      expect({ target, exists: existsSync(join(ROOT, file)) }).toEqual({ target, exists: true });
      if (anchor !== undefined) expect(anchorsOf(read(file))).toContain(anchor);
    }
  });
});

/** The anchors that GitHub gives a page's headings. */
function anchorsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/\s/g, "-"),
  );
}
