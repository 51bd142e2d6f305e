import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import { at, list, type Value } from "./kustomize.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const DASHBOARDS = join(ROOT, "monitoring/grafana/dashboards");
export const RULES = join(ROOT, "monitoring/prometheus/rules");

/** An expression in PromQL, and where it stands. */
export interface Expression {
  where: string;
  expr: string;
  /** The labels that a panel's legend shows. */
  legend?: string[];
}

export interface Dashboard {
  file: string;
  content: Value;
}

export function dashboards(): Dashboard[] {
  return readdirSync(DASHBOARDS).map((file) => ({
    file,
    content: JSON.parse(readFileSync(join(DASHBOARDS, file), "utf8")),
  }));
}

/** The rules of all groups, as they stand in their files. */
export function rules(): Value[] {
  return readdirSync(RULES)
    .map((file): Value => parse(readFileSync(join(RULES, file), "utf8")))
    .flatMap((file) => list(at(file, "groups")))
    .flatMap((group) => list(at(group, "rules")));
}

/** Each panel's expressions, with a dashboard's variables filled in by what matches all. */
export function panelExpressions(): Expression[] {
  return dashboards().flatMap(({ file, content }) =>
    list(at(content, "panels")).flatMap((panel) =>
      list(at(panel, "targets")).map((target) => ({
        where: `${file}, ${at(panel, "title")}`,
        expr: String(at(target, "expr")).replaceAll(/\$(namespace|component)/g, ".*"),
        legend: [...String(at(target, "legendFormat")).matchAll(/{{\s*(\w+)\s*}}/g)].map(
          ([, label = ""]) => label,
        ),
      })),
    ),
  );
}

export function ruleExpressions(): Expression[] {
  return rules().map((rule) => ({
    where: String(at(rule, "alert") ?? at(rule, "record")),
    expr: String(at(rule, "expr")),
  }));
}

/** Names of the metrics that an expression reads: those of nodes and of NATS' exporter, without what a histogram adds. */
export function metricsIn(expr: string): string[] {
  const names = expr.match(/(?<![:\w"])(molecart|moleculer|process|gnatsd)_[a-z0-9_]+(?![:\w])/g) ?? [];
  return [...new Set(names)];
}

/** A series that an expression asks for, or a rule's unit test makes up: its metric and what is said of its labels. */
export interface Selector {
  where: string;
  metric: string;
  labels: { name: string; operator: string; value: string }[];
}

const LABEL = /(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"/g;

/** Each `metric{label="…"}` of an expression. */
export function selectorsIn({ where, expr }: Expression): Selector[] {
  return [...expr.matchAll(/([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}/g)].map(([, metric = "", labels = ""]) => ({
    where,
    metric,
    labels: [...labels.matchAll(LABEL)].map(([, name = "", operator = "", value = ""]) => ({
      name,
      operator,
      value,
    })),
  }));
}

/** The labels that an expression groups or joins by. */
export function groupingsIn(expr: string): string[] {
  const lists = [...expr.matchAll(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g)];
  return lists.flatMap(([, names = ""]) => names.split(",").map((name) => name.trim()));
}

/** The unit tests of the alerts. */
export function ruleTests(): Value[] {
  const file: Value = parse(readFileSync(join(RULES, "../tests/alerts.test.yml"), "utf8"));
  return list(at(file, "tests"));
}

/** The series that the unit tests of the alerts make up. */
export function testedSeries(): Selector[] {
  return ruleTests().flatMap((test) =>
    list(at(test, "input_series")).flatMap((series) =>
      selectorsIn({ where: String(at(test, "name")), expr: String(at(series, "series")) }),
    ),
  );
}

/** Asks a running Prometheus at `url`. @returns how many series there are, or why it refuses the expression */
export async function askPrometheus(url: string, expr: string): Promise<{ error?: string; series: number }> {
  const body = new URLSearchParams({ query: expr });
  const answer: Value = JSON.parse(
    await (await fetch(`${url}/api/v1/query`, { method: "POST", body })).text(),
  );
  if (at(answer, "status") !== "success") return { error: String(at(answer, "error")), series: 0 };
  return { series: list(at(answer, "data", "result")).length };
}
