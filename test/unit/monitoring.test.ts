import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { parse } from "yaml";
import { declarationOf, metricNames } from "../../lib/metrics-catalogue.ts";
import { SERVICE_NAMES } from "../../lib/service-names.ts";
import { at, list, type Value } from "../helpers/kustomize.ts";
import {
  dashboards,
  groupingsIn,
  metricsIn,
  panelExpressions,
  RULES,
  ruleExpressions,
  rules,
  ruleTests,
  type Selector,
  selectorsIn,
  testedSeries,
} from "../helpers/monitoring.ts";
import { havePromtool, promtool } from "../helpers/promtool.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const PROMETHEUS = join(ROOT, "monitoring/prometheus");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const yaml = (path: string): Value => parse(read(path));

const alerts = rules().filter((rule) => at(rule, "alert") !== undefined);
const alertNames = alerts.map((rule) => String(at(rule, "alert")));
const records = new Set(rules().map((rule) => at(rule, "record")));
const unitTests = ruleTests().flatMap((test) => list(at(test, "alert_rule_test")));
const expressions = [...panelExpressions(), ...ruleExpressions()];

describe("the rules", () => {
  it.each(alertNames)("tell what to do about %s", (name) => {
    const rule = alerts.find((one) => at(one, "alert") === name);
    expect(at(rule, "labels", "severity")).toMatch(/^(page|ticket|none)$/);
    expect(at(rule, "annotations", "summary")).toEqual(expect.any(String));
    expect(at(rule, "annotations", "runbook_url")).toBe(
      `{{ $externalLabels.runbooks }}#${name.toLowerCase()}`,
    );
    expect(read("docs/operations.md")).toMatch(new RegExp(`^### ${name}$`, "m"));
  });

  it("leave no paragraph in docs/operations.md without its alert", () => {
    const told = [...read("docs/operations.md").matchAll(/^### ((?:Molecart|Nats|Watchdog)\w*)$/gm)];
    expect(told.map(([, name]) => name).sort()).toEqual([...alertNames].sort());
  });

  it.each(alertNames.filter((name) => name !== "Watchdog"))(
    "are tested to fire and to be quiet: %s",
    (name) => {
      const expected = unitTests
        .filter((test) => at(test, "alertname") === name)
        .map((test) => list(at(test, "exp_alerts")).length > 0);
      expect(new Set(expected)).toEqual(new Set([false, true]));
    },
  );
});

describe("the dashboards", () => {
  it("have unique names", () => {
    const uids = dashboards().map(({ content }) => at(content, "uid"));
    expect(new Set(uids).size).toBe(uids.length);
    expect(uids).toHaveLength(5);
  });

  it.each(dashboards())("explain each panel of $file and give its unit", ({ content }) => {
    const panels = list(at(content, "panels"));
    expect(panels.length).toBeGreaterThan(3);
    expect(new Set(panels.map((panel) => at(panel, "id"))).size).toBe(panels.length);
    for (const panel of panels) {
      expect(panel).toMatchObject({
        title: expect.stringMatching(/\w/),
        description: expect.stringMatching(/\w/),
        fieldConfig: { defaults: { unit: expect.stringMatching(/\w/) } },
        datasource: { type: "prometheus", uid: "prometheus" },
      });
      expect(list(at(panel, "targets")).length).toBeGreaterThan(0);
    }
  });

  it("know the datasources that are provisioned", () => {
    const known = list(
      at(yaml("monitoring/grafana/provisioning/datasources/datasources.yml"), "datasources"),
    );
    expect(known.map((one) => at(one, "uid"))).toContain("prometheus");
  });
});

it("no expression reads a recorded series that no rule records", () => {
  const recorded = expressions.flatMap(({ expr }) => expr.match(/molecart:[\w:]+/g) ?? []);
  expect(recorded.filter((name) => !records.has(name))).toEqual([]);
});

/** What a histogram adds to its name. */
const PARTS = /_(bucket|sum|count)$/;
/** On every sample of a node: what the node says, and what Prometheus adds. */
const COMMON = ["namespace", "node", "job", "instance", "component", "pod", "le"];

/** A metric of ours by a series' name. */
const declared = (series: string) =>
  metricNames.find((name) => name === series || name === series.replace(PARTS, ""));

/** What is wrong with a selector of one of our metrics: labels that it hasn't, values that are never told. */
function faultsOf({ where, metric, labels }: Selector): string[] {
  const name = declared(metric);
  if (!name) return [];
  const known: Readonly<Record<string, readonly string[] | null>> = declarationOf(name).labels;
  return labels
    .filter((label) => !COMMON.includes(label.name))
    .flatMap((label) => {
      const values = known[label.name];
      if (values === undefined) return [`${where}: ${metric} has no label ${label.name}`];
      const alternatives = label.operator.includes("~") ? label.value.split("|") : [label.value];
      return alternatives
        .filter((one) => values && !values.some((value) => new RegExp(`^(?:${one})$`).test(value)))
        .map((one) => `${where}: ${metric} never says ${label.name}="${one}"`);
    });
}

/** The labels of what an expression reads: of our metrics, of others', and what is left of those that rules record. */
function labelsIn(expr: string): string[] {
  const ours = metricsIn(expr).flatMap((series) => declared(series) ?? []);
  const recorded = rules().filter((rule) => expr.includes(`${at(rule, "record")}`));
  return [
    ...COMMON,
    ...ours.flatMap((name) => Object.keys(declarationOf(name).labels)),
    ...recorded.flatMap((rule) => groupingsIn(String(at(rule, "expr")))),
    ...(expr.includes("moleculer_") ? ["action", "errorName"] : []),
    ...(expr.includes("gnatsd_") ? ["server_id"] : []),
  ];
}

describe("what dashboards, rules and their tests ask for", () => {
  it("is in the catalogue", () => {
    const named = [
      ...expressions.flatMap(({ expr }) => metricsIn(expr)),
      ...testedSeries().map(({ metric }) => metric),
    ];
    const ours = named.filter((name) => name.startsWith("molecart_"));
    expect(new Set(ours).size).toBeGreaterThan(15);
    expect(ours.filter((name) => declared(name) === undefined)).toEqual([]);
  });

  it("has the labels and values that nodes tell", () => {
    const selectors = [...expressions.flatMap(selectorsIn), ...testedSeries()];
    expect(selectors.filter(({ metric }) => declared(metric)).length).toBeGreaterThan(50);
    expect(selectors.flatMap(faultsOf)).toEqual([]);
  });

  it("is grouped and shown by labels that its metrics have", () => {
    const unknown = expressions.flatMap(({ where, expr, legend = [] }) => {
      const known = labelsIn(expr);
      const groupings = groupingsIn(expr);
      const left = groupings.length > 0 ? groupings : known;
      return [
        ...groupings.filter((label) => !known.includes(label)),
        ...legend.filter((label) => !left.includes(label)),
      ].map((label) => `${where}: ${label}`);
    });
    expect(unknown).toEqual([]);
  });
});

it("Prometheus asks Docker's DNS for every service", () => {
  const jobs = list(at(yaml("monitoring/prometheus/prometheus.yml"), "scrape_configs"));
  const molecart = jobs.find((job) => at(job, "job_name") === "molecart");
  const names = list(at(molecart, "dns_sd_configs", 0, "names")).map(String);
  expect(names.sort()).toEqual([...SERVICE_NAMES].sort());
});

it("the Prometheus operator is given the same rules", () => {
  const groups = ["recording", "alerts"].flatMap((file) =>
    list(at(yaml(`monitoring/prometheus/rules/${file}.yml`), "groups")),
  );
  expect(at(yaml("k8s/components/prometheus-operator/rules.yaml"), "spec", "groups")).toEqual(groups);
});

(havePromtool() ? describe : describe.skip)("promtool", () => {
  it("takes the configuration and the rules", () => {
    expect(promtool("check", "config", join(PROMETHEUS, "prometheus.yml"))).toMatchObject({ status: 0 });
    for (const file of ["alerts.yml", "recording.yml"])
      expect(promtool("check", "rules", join(RULES, file))).toMatchObject({ status: 0 });
  });

  it("takes Kubernetes' configuration, whose discovery a distribution's build may lack", () => {
    const directory = mkdtempSync(join(tmpdir(), "molecart-prometheus-"));
    try {
      const text = read("monitoring/prometheus/kubernetes.yml").replaceAll(
        /kubernetes_sd_configs:\n.*\n.*/g,
        'dns_sd_configs: [{ names: ["any"], type: A, port: 1 }]',
      );
      expect(text).not.toContain("kubernetes_sd_configs");
      const file = join(directory, "kubernetes.yml");
      writeFileSync(file, text.replace("rules/*.yml", join(RULES, "*.yml")));
      expect(promtool("check", "config", file)).toMatchObject({ status: 0 });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it("sees each alert fire when it should, and only then", () => {
    expect(promtool("test", "rules", join(PROMETHEUS, "tests/alerts.test.yml"))).toMatchObject({ status: 0 });
  });
});
