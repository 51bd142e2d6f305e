import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { parseAllDocuments } from "yaml";
import { loadConfig } from "../../lib/config.ts";
import { SERVICE_NAMES } from "../../lib/service-names.ts";
import { SECRETS } from "../helpers/env.ts";
import { faultsOf } from "../helpers/kubernetes-schemas.ts";
import { at, build, fields, list, type Resource, type Value } from "../helpers/kustomize.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const KUSTOMIZATIONS = ["k8s/base", "k8s/overlays/local", "k8s/overlays/production"];

/** What a pod template asks for, and what it runs. */
const podOf = (workload: Value | undefined) => at(workload, "spec", "template", "spec");
const labelsOf = (workload: Value | undefined) =>
  fields(at(workload, "spec", "template", "metadata", "labels"));
const containersOf = (workload: Value | undefined) => [
  ...list(at(podOf(workload), "initContainers")),
  ...list(at(podOf(workload), "containers")),
];
const named = (items: Value | undefined, name: string) =>
  list(items).find((item) => at(item, "name") === name);

/** Whether a selector's `matchLabels` meet these labels; an empty selector meets all. */
function selects(selector: Value | undefined, labels: { [key: string]: Value }): boolean {
  return Object.entries(fields(at(selector, "matchLabels"))).every(
    ([label, value]) => labels[label] === value,
  );
}

/** The Pod Security Standard "restricted", and a root file system that nobody can change. */
const RESTRICTED_POD = { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } };
const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};
const SIZE = { cpu: expect.any(String), memory: expect.any(String) };

/** Which label opens the way to what a variable tells of. */
const WAYS = new Map([
  ["DATABASE_URL", "molecart.dev/postgres"],
  ["REDIS_URL", "molecart.dev/redis"],
  ["MONGO_URL", "molecart.dev/mongo"],
  ["NATS_PASSWORD", "molecart.dev/nats"],
]);

describe.each(KUSTOMIZATIONS)("%s", (directory) => {
  const resources = build(join(ROOT, directory));
  const ofKind = (kind: string) => resources.filter((resource) => resource.kind === kind);
  const deployments = ofKind("Deployment");
  const workloads = ["Deployment", "StatefulSet", "Job"].flatMap(ofKind);
  const byName = (all: Resource[]) => all.map((one): [string, Resource] => [one.metadata.name, one]);

  it("is what Kubernetes' schemas allow, without unknown fields", async () => {
    const faults = await Promise.all(
      resources.map(async (resource) =>
        (await faultsOf(resource)).map((fault) => `${resource.kind} ${resource.metadata.name}: ${fault}`),
      ),
    );
    expect(faults.flat()).toEqual([]);
  });

  it("runs each service in a Deployment of its name", () => {
    expect(deployments.map(({ metadata }) => metadata.name).sort()).toEqual([...SERVICE_NAMES].sort());
    for (const deployment of deployments) {
      const services = named(at(podOf(deployment), "containers", 0, "env"), "SERVICES");
      expect(at(services, "value")).toBe(deployment.metadata.name);
    }
  });

  describe.each(byName(deployments))("the Deployment %s", (name, deployment) => {
    const node = named(at(podOf(deployment), "containers"), "node");

    it("selects its own pods", () => {
      expect(selects(at(deployment, "spec", "selector"), labelsOf(deployment))).toBe(true);
      const others = deployments.filter((other) => other !== deployment);
      expect(others.filter((other) => selects(at(deployment, "spec", "selector"), labelsOf(other)))).toEqual(
        [],
      );
    });

    it.each([
      ["startupProbe", "/health/live"],
      ["livenessProbe", "/health/live"],
      ["readinessProbe", "/health/ready"],
    ])("has a %s that asks %s", (probe, path) => {
      expect(at(node, probe, "httpGet")).toEqual({ path, port: "health" });
    });

    it("is spread over zones and nodes", () => {
      const keys = list(at(podOf(deployment), "topologySpreadConstraints")).map((one) =>
        at(one, "topologyKey"),
      );
      expect(keys).toEqual(["topology.kubernetes.io/zone", "kubernetes.io/hostname"]);
    });

    it("is given longer to stop than it takes to drain", () => {
      const waits = String(at(node, "lifecycle", "preStop", "exec", "command", 2) ?? "");
      const preStop = Number(/, (\d+)\)/.exec(waits)?.[1] ?? 0);
      const drain = Number(
        readFileSync(join(ROOT, "k8s/base/shop.env"), "utf8").match(/^SHUTDOWN_TIMEOUT=(\d+)$/m)?.[1],
      );
      const grace = Number(at(podOf(deployment), "terminationGracePeriodSeconds")) * 1000;
      expect(grace).toBeGreaterThan(preStop + 2 * drain);
    });

    it("has a PodDisruptionBudget and an autoscaler of its own", () => {
      const budgets = ofKind("PodDisruptionBudget").filter((one) =>
        selects(at(one, "spec", "selector"), labelsOf(deployment)),
      );
      expect(budgets.map((one) => at(one, "spec", "maxUnavailable"))).toEqual([1]);
      const scalers = ofKind("HorizontalPodAutoscaler").filter(
        (one) => at(one, "spec", "scaleTargetRef", "name") === name,
      );
      expect(scalers).toHaveLength(1);
      expect(at(deployment, "spec", "replicas")).toBeUndefined();
    });
  });

  describe.each(byName(workloads))("the pods of %s", (_name, workload) => {
    it("run restricted", () => {
      expect(at(podOf(workload), "securityContext")).toMatchObject(RESTRICTED_POD);
      for (const container of containersOf(workload))
        expect(at(container, "securityContext")).toEqual(RESTRICTED_CONTAINER);
    });

    it("ask for what they need and are limited", () => {
      for (const container of containersOf(workload))
        expect(at(container, "resources")).toEqual({ requests: SIZE, limits: SIZE });
    });

    it("carry no token", () => {
      expect(at(podOf(workload), "automountServiceAccountToken")).toBe(false);
      const account = at(podOf(workload), "serviceAccountName");
      if (account === undefined) return;
      const accounts = ofKind("ServiceAccount").filter(({ metadata }) => metadata.name === account);
      expect(accounts.map((one) => one.automountServiceAccountToken)).toEqual([false]);
    });

    it("may talk to nobody but whom a NetworkPolicy names", () => {
      const policies = ofKind("NetworkPolicy").filter((one) =>
        selects(at(one, "spec", "podSelector"), labelsOf(workload)),
      );
      const closed = policies.filter(
        (one) => !("ingress" in fields(one.spec)) && !("egress" in fields(one.spec)),
      );
      expect(closed.flatMap((one) => list(at(one, "spec", "policyTypes")))).toEqual(["Ingress", "Egress"]);
      const named = policies.filter((one) => Object.keys(fields(at(one, "spec", "podSelector"))).length > 0);
      expect(named.length).toBeGreaterThan(0);
    });

    it("have a way to each store they are told of, and to no other", () => {
      const told = containersOf(workload).flatMap((container) =>
        list(at(container, "env")).map((one) => at(one, "name")),
      );
      for (const [variable, label] of WAYS) {
        if (workload.kind === "StatefulSet") continue;
        expect([variable, labelsOf(workload)[label]]).toEqual([
          variable,
          told.includes(variable) ? "client" : undefined,
        ]);
        if (!told.includes(variable) || directory === "k8s/base") continue;
        const open = ofKind("NetworkPolicy").filter(
          (one) => label in fields(at(one, "spec", "podSelector", "matchLabels")),
        );
        expect(open.filter((one) => list(at(one, "spec", "policyTypes")).includes("Egress"))).toHaveLength(1);
      }
    });

    it("take from the Secret what docker/make-secrets makes", () => {
      const keys = containersOf(workload)
        .flatMap((container) => list(at(container, "env")))
        .map((one) => at(one, "valueFrom", "secretKeyRef"))
        .filter((ref) => ref !== undefined);
      for (const ref of keys) expect(ref).toEqual({ name: "molecart", key: expect.any(String) });
      expect(keys.map((ref) => String(at(ref, "key"))).filter((key) => !MADE.has(key))).toEqual([]);
    });
  });
});

const MADE = new Set(["admin_email", ...madeSecrets()]);

function madeSecrets(): string[] {
  const directory = mkdtempSync(join(tmpdir(), "molecart-secrets-"));
  try {
    const { status, stderr } = spawnSync(join(ROOT, "docker/make-secrets"), {
      env: { ...process.env, SECRETS_DIR: directory },
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(stderr);
    return readdirSync(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe("the ConfigMap of the shop", () => {
  it.each(["k8s/base", "k8s/overlays/local"])(
    "of %s says nothing that the configuration doesn't know",
    (directory) => {
      const known = Object.keys(loadConfig({}, { databaseUrl: "", secrets: SECRETS }));
      const text = readFileSync(join(ROOT, directory, "shop.env"), "utf8");
      const names = [...text.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name);
      expect(names.length).toBeGreaterThan(0);
      expect(names.filter((name) => !known.includes(String(name)))).toEqual([]);
    },
  );
});

describe("NATS", () => {
  it("has a route to each server of its StatefulSet, and nodes know each", () => {
    const nats = build(join(ROOT, "k8s/base")).find(
      ({ kind, metadata }) => kind === "StatefulSet" && metadata.name === "nats",
    );
    const replicas = Number(at(nats, "spec", "replicas"));
    const names = Array.from({ length: replicas }, (_, i) => `nats-${i}.nats`);
    const conf = readFileSync(join(ROOT, "k8s/base/nats.conf"), "utf8");
    expect([...conf.matchAll(/nats:\/\/([^:]+):6222/g)].map(([, host]) => host)).toEqual(names);
    const env = readFileSync(join(ROOT, "k8s/base/shop.env"), "utf8");
    expect([...env.matchAll(/nats:\/\/([^:]+):4222/g)].map(([, host]) => host)).toEqual(names);
    expect(replicas).toBe(3);
  });
});

/** A pod without what kustomize rewrites: the order of named items, the names of ConfigMaps, images. */
function essence(workload: Resource) {
  const text = JSON.stringify(podOf(workload))
    .replaceAll(/"(shop|nats)-[a-z0-9]{10}"/g, '"$1"')
    .replaceAll(/"image":"[^"]*"/g, '"image":""');
  const byName = (a: Value, b: Value) => (String(at(a, "name")) < String(at(b, "name")) ? -1 : 1);
  return JSON.parse(text, (_key, value: Value) =>
    Array.isArray(value) && at(value, 0, "name") !== undefined ? value.sort(byName) : value,
  );
}

const kubectl = spawnSync("kubectl", ["version", "--client"]).status === 0;
(kubectl ? describe : describe.skip)("kubectl", () => {
  it.each(KUSTOMIZATIONS)("renders %s to the pods that are tested here", (directory) => {
    const { stdout, stderr } = spawnSync("kubectl", ["kustomize", join(ROOT, directory)], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    const rendered: Resource[] = parseAllDocuments(stdout).map((document) => document.toJS());
    const pods = (all: Resource[]) =>
      Object.fromEntries(
        all
          .filter((one) => podOf(one) !== undefined)
          .map((one) => [`${one.kind} ${one.metadata.name}`, essence(one)]),
      );
    expect(pods(rendered)).toEqual(pods(build(join(ROOT, directory))));
  });

  it("renders the components on top of the base", async () => {
    const directory = mkdtempSync(join(realpathSync(tmpdir()), "molecart-kustomize-"));
    try {
      const to = (path: string) => relative(directory, join(ROOT, path));
      const components = readdirSync(join(ROOT, "k8s/components")).map((name) =>
        to(`k8s/components/${name}`),
      );
      writeFileSync(
        join(directory, "kustomization.yaml"),
        JSON.stringify({ resources: [to("k8s/base")], components }),
      );
      const { stdout, stderr } = spawnSync("kubectl", ["kustomize", directory], { encoding: "utf8" });
      expect(stderr).toBe("");
      const rendered: Resource[] = parseAllDocuments(stdout).map((document) => document.toJS());
      // Those of the Prometheus operator aren't Kubernetes' own.
      const own = rendered.filter(({ apiVersion }) => !apiVersion.startsWith("monitoring.coreos.com/"));
      expect((await Promise.all(own.map(faultsOf))).flat()).toEqual([]);
      const jobs = rendered
        .filter(({ kind }) => kind === "CronJob")
        .map((one) => at(one, "spec", "jobTemplate"));
      expect(jobs).toHaveLength(1);
      for (const job of jobs) {
        expect(at(podOf(job), "securityContext")).toMatchObject(RESTRICTED_POD);
        expect(at(podOf(job), "automountServiceAccountToken")).toBe(false);
        for (const container of containersOf(job)) {
          expect(at(container, "securityContext")).toEqual(RESTRICTED_CONTAINER);
          expect(at(container, "resources")).toEqual({ requests: SIZE, limits: SIZE });
        }
        expect(labelsOf(job)).toMatchObject(
          Object.fromEntries(
            [...WAYS.values()].filter((label) => !label.endsWith("/nats")).map((label) => [label, "client"]),
          ),
        );
      }
      const kinds = rendered.map(({ kind }) => kind);
      expect(kinds.filter((kind) => kind === "PodMonitor" || kind === "PrometheusRule")).toHaveLength(3);
      const scaler = rendered.find(
        ({ kind, metadata }) => kind === "HorizontalPodAutoscaler" && metadata.name === "gateway",
      );
      expect(list(at(scaler, "spec", "metrics")).map((metric) => at(metric, "type"))).toEqual([
        "Resource",
        "Pods",
      ]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
