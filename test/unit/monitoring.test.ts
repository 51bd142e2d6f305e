import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { parse } from "yaml";
import { SERVICE_NAMES } from "../../lib/service-names.ts";
import { at, list, type Value } from "../helpers/kustomize.ts";
import { dashboards, panelExpressions, RULES, ruleExpressions, rules } from "../helpers/monitoring.ts";
import { havePromtool, promtool } from "../helpers/promtool.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const PROMETHEUS = join(ROOT, "monitoring/prometheus");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const yaml = (path: string): Value => parse(read(path));

const alerts = rules().filter((rule) => at(rule, "alert") !== undefined);
const alertNames = alerts.map((rule) => String(at(rule, "alert")));
const records = new Set(rules().map((rule) => at(rule, "record")));
const unitTests = list(at(yaml("monitoring/prometheus/tests/alerts.test.yml"), "tests")).flatMap((test) =>
  list(at(test, "alert_rule_test")),
);

describe("the rules", () => {
  it.each(alertNames)("tell what to do about %s", (name) => {
    const rule = alerts.find((one) => at(one, "alert") === name);
    expect(at(rule, "labels", "severity")).toMatch(/^(page|ticket|none)$/);
    expect(at(rule, "annotations", "summary")).toEqual(expect.any(String));
    expect(at(rule, "annotations", "runbook_url")).toBe(`docs/operations.md#${name.toLowerCase()}`);
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
      expect(expected.sort()).toEqual([false, true]);
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
  const recorded = [...panelExpressions(), ...ruleExpressions()].flatMap(
    ({ expr }) => expr.match(/molecart:[\w:]+/g) ?? [],
  );
  expect(recorded.filter((name) => !records.has(name))).toEqual([]);
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

  it("sees each alert fire when it should, and only then", () => {
    expect(promtool("test", "rules", join(PROMETHEUS, "tests/alerts.test.yml"))).toMatchObject({ status: 0 });
  });
});
