import { execFile, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { extname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "@jest/globals";
import { parse } from "yaml";
import { loadConfig } from "../../lib/config.ts";
import { SERVICE_NAMES } from "../../lib/service-names.ts";
import { SECRETS } from "../helpers/env.ts";
import { at, fields, list, type Value } from "../helpers/kustomize.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");
const compose = (file: string): Value => parse(read(file), { merge: true });

const base = compose("docker-compose.yml");
const prod = compose("docker-compose.prod.yml");
const tls = compose("docker-compose.tls.yml");
const services = Object.entries(fields(at(base, "services")));
const nodes = services.filter(([name]) => SERVICE_NAMES.some((one) => one === name));
/** Run by hand: the command line. */
const TOOL = "cli";
const observers = services.filter(([name, service]) => "profiles" in fields(service) && name !== TOOL);
const STORES = ["postgres", "redis", "mongo", "nats"];
const VARIABLES = Object.keys(loadConfig({}, { databaseUrl: "", secrets: SECRETS })).filter((name) =>
  /^[A-Z]/.test(name),
);

/** What a store's variable takes beside a secret: the network it is in. */
const WAYS = new Map([
  ["DATABASE_URL_FILE", "postgres"],
  ["REDIS_URL_FILE", "redis"],
  ["MONGO_URL_FILE", "mongo"],
  ["NATS_PASSWORD_FILE", "bus"],
]);

describe("docker-compose.yml", () => {
  it("runs each service in a container of its own", () => {
    expect(nodes.map(([name]) => name).sort()).toEqual([...SERVICE_NAMES].sort());
    for (const [name, node] of nodes) expect(at(node, "environment", "SERVICES")).toBe(name);
  });

  it("publishes nginx, and what operators look at on this machine only", () => {
    const published = services.filter(([, service]) => "ports" in fields(service));
    const always = published.filter(([, service]) => !("profiles" in fields(service)));
    expect(always.map(([name]) => name)).toEqual(["nginx"]);
    for (const [, service] of published)
      for (const port of list(at(service, "ports"))) expect(port).toMatch(/^\$\{PUBLISH\w*:-127\.0\.0\.1:/);
  });

  it("brings up what watches the shop by profile only", () => {
    const own = new Set<string>([...SERVICE_NAMES, ...STORES, "nginx"]);
    for (const [name, service] of services)
      expect([name, list(at(service, "profiles")).length]).toEqual([name, own.has(name) ? 0 : 1]);
  });

  it("gives the command line every store and no token of the shop's", () => {
    const cli = at(base, "services", TOOL);
    expect(cli).toMatchObject({
      profiles: [TOOL],
      image: at(base, "services", "gateway", "image"),
      read_only: true,
      cap_drop: ["ALL"],
    });
    expect(list(at(cli, "networks"))).toEqual(["edge", "postgres", "redis", "mongo"]);
    expect(list(at(cli, "secrets"))).toEqual(["admin_password", "database_url", "redis_url", "mongo_url"]);
  });

  it("shows what watches the shop no store, and pins its version", () => {
    for (const [name, service] of observers) {
      const networks = list(at(service, "networks")).map(String);
      const allowed = ["telemetry", "observers", "logs", ...(name === "nats-exporter" ? ["bus"] : [])];
      expect(networks.filter((one) => !allowed.includes(one))).toEqual([]);
      expect(at(service, "image")).toMatch(/:v?\d+\.\d+\.\d+$/);
      expect(service).toMatchObject({ read_only: true, cap_drop: ["ALL"] });
    }
  });

  it("gives Grafana a password of its own, from a file", () => {
    expect(at(base, "services", "grafana", "environment", "GF_SECURITY_ADMIN_PASSWORD__FILE")).toBe(
      "/run/secrets/grafana_password",
    );
  });

  it.each(STORES)("has %s in an internal network only", (store) => {
    const networks = list(at(base, "services", store, "networks")).map(String);
    expect(networks).toHaveLength(1);
    for (const network of networks) expect(at(base, "networks", network)).toEqual({ internal: true });
  });

  it.each(nodes)("gives %s the secrets and networks that it has a use for", (_name, node) => {
    const environment = fields(at(node, "environment"));
    const files = Object.entries(environment).filter(([name]) => name.endsWith("_FILE"));
    expect(files.map(([, path]) => path).sort()).toEqual(
      list(at(node, "secrets"))
        .map((name) => `/run/secrets/${name}`)
        .sort(),
    );
    for (const [variable, network] of WAYS)
      expect([network, list(at(node, "networks")).includes(network)]).toEqual([
        network,
        variable in environment,
      ]);
  });

  it.each(nodes)("tells %s nothing that the configuration doesn't know", (_name, node) => {
    const names = Object.keys(fields(at(node, "environment"))).map((name) => name.replace(/_FILE$/, ""));
    expect(names.filter((name) => !VARIABLES.includes(name))).toEqual([]);
  });

  it.each(services)("limits %s and knows whether it is healthy", (name, service) => {
    expect(at(service, "deploy", "resources", "limits")).toEqual({
      cpus: expect.any(String),
      memory: expect.any(String),
    });
    // The nodes' own health check is the image's.
    const isNode = SERVICE_NAMES.some((one) => one === name);
    expect("healthcheck" in fields(service)).toBe(!isNode);
    expect(at(service, "security_opt")).toEqual(["no-new-privileges:true"]);
  });

  it.each(nodes)("runs %s without rights, on a file system that is read only", (_name, node) => {
    expect(node).toMatchObject({ read_only: true, cap_drop: ["ALL"] });
  });

  it("gives a node longer to stop than it takes to drain", () => {
    const grace = nodes.map(([, node]) => Number.parseInt(String(at(node, "stop_grace_period")), 10) * 1000);
    const { SHUTDOWN_TIMEOUT } = loadConfig({}, { databaseUrl: "", secrets: SECRETS });
    expect(Math.min(...grace)).toBeGreaterThan(2 * SHUTDOWN_TIMEOUT);
  });
});

describe("docker-compose.mail.yml", () => {
  it("gives the notifications, and nobody else, the mail server and a way to it", () => {
    const mail = compose("docker-compose.mail.yml");
    expect(Object.keys(fields(at(mail, "services")))).toEqual(["notifications"]);
    expect(at(mail, "services", "notifications")).toEqual({
      environment: {
        SMTP_URL_FILE: "/run/secrets/smtp_url",
        MAIL_FROM: expect.stringMatching(/^\$\{MAIL_FROM:\?/),
      },
      secrets: ["smtp_url"],
      networks: ["outside", "observers"],
    });
    expect(Object.keys(fields(at(mail, "secrets")))).toEqual(["smtp_url"]);
  });
});

describe("docker-compose.prod.yml", () => {
  const changes = Object.entries(fields(at(prod, "services")));

  it("runs each service twice, from a released image, and brings everything back", () => {
    for (const name of SERVICE_NAMES) {
      expect(at(prod, "services", name, "deploy", "replicas")).toBe(2);
      expect(at(prod, "services", name, "image")).toMatch(/^\$\{MOLECART_IMAGE:\?/);
    }
    const restart = changes
      .filter(([name]) => name !== "migrate")
      .map(([, service]) => at(service, "restart"));
    expect(new Set(restart)).toEqual(new Set(["always"]));
    expect(changes).toHaveLength(services.length - observers.length - [TOOL].length + 1);
  });

  it("publishes no store", () => {
    for (const [, service] of [...changes, ...Object.entries(fields(at(tls, "services")))].filter(
      ([name]) => name !== "nginx",
    ))
      expect(fields(service)).not.toHaveProperty("ports");
  });

  it("migrates before the services with a schema start, and nowhere else", () => {
    const off = changes
      .filter(([, service]) => at(service, "environment", "MIGRATE") === "off")
      .map(([name]) => name);
    const withSchema = nodes.filter(([, node]) => "DATABASE_URL_FILE" in fields(at(node, "environment")));
    expect(off.sort()).toEqual(withSchema.map(([name]) => name).sort());
    for (const name of off)
      expect(at(prod, "services", name, "depends_on", "migrate", "condition")).toBe(
        "service_completed_successfully",
      );
  });
});

const program = composeProgram();
(program ? describe : describe.skip)("compose", () => {
  it.each<[string[]]>([[[]], [["prod"]], [["tls"]], [["mail"]], [["prod", "tls", "mail"]]])(
    "takes the files %j, with all that watches the shop",
    async (more) => {
      const [command = "", ...args] = program ?? [];
      const files = ["docker-compose.yml", ...more.map((name) => `docker-compose.${name}.yml`)];
      const flags = ["--env-file", ".env.example", ...files.flatMap((file) => ["-f", file])];
      const { stderr } = await promisify(execFile)(command, [...args, ...flags, "config", "-q"], {
        cwd: ROOT,
        env: {
          ...process.env,
          ADMIN_EMAIL: "admin@shop.example",
          MOLECART_IMAGE: "molecart:test",
          MAIL_FROM: "shop@shop.example",
          COMPOSE_PROFILES: services.flatMap(([, one]) => list(at(one, "profiles"))).join(","),
        },
      });
      expect(stderr).toBe("");
    },
  );
});

/** The program that reads compose files, if this machine has one: the plugin of docker, or the one of old. */
function composeProgram(): string[] | undefined {
  const programs = [["docker", "compose"], ["docker-compose"]];
  return programs.find(([command = "", ...args]) => spawnSync(command, [...args, "version"]).status === 0);
}

it("the image has each program that it, compose and Kubernetes start", () => {
  const files = ["Dockerfile", "docker-compose.yml", "docker-compose.prod.yml", "k8s/base/migrate.yaml"];
  const started = files.flatMap((file) => read(file).match(/\bdocker\/[\w-]+\.[jt]s\b/g) ?? []);
  expect(new Set(started).size).toBeGreaterThan(2);
  const letIn = read(".dockerignore").split("\n");
  for (const program of started) {
    expect(existsSync(join(ROOT, program))).toBe(true);
    expect(letIn).toContain(`!docker/*${extname(program)}`);
  }
});

describe(".env.example", () => {
  const text = read(".env.example");
  /** What stands there to be set, commented out or not. */
  const offered = [...text.matchAll(/^#?([A-Z_]+)=/gm)].map(([, name]) => String(name));
  const asked = new Set(
    ["docker-compose.yml", "docker-compose.prod.yml", "docker-compose.tls.yml", "docker-compose.mail.yml"]
      .map(read)
      .flatMap((file) => [...file.matchAll(/(?<!\$)\$\{([A-Z_]+)/g)])
      .map(([, name]) => String(name)),
  );

  it("names every variable of the configuration", () => {
    const named = new Set(text.match(/\b[A-Z][A-Z_]+\b/g));
    expect(VARIABLES.filter((name) => !named.has(name))).toEqual([]);
  });

  it("offers what the compose files ask for, and no more", () => {
    expect([...asked].sort()).toEqual(offered.sort());
  });

  it("shows the configuration's own defaults", () => {
    const own = { databaseUrl: "", secrets: SECRETS };
    const defaults = new Map(Object.entries(loadConfig({}, own)));
    const shown = [...text.matchAll(/^#([A-Z_]+)=(.*)$/gm)].filter(([, name]) =>
      VARIABLES.includes(String(name)),
    );
    expect(shown.length).toBeGreaterThan(10);
    // A cluster's defaults, where they aren't an embedded shop's.
    const others = ["LOG_FORMAT", "OTEL_TRACES_SAMPLER_ARG"];
    for (const [, name = "", value = ""] of shown.filter(([, name]) => !others.includes(String(name))))
      expect([name, Reflect.get(loadConfig({ [name]: value }, own), name)]).toEqual([
        name,
        defaults.get(name),
      ]);
  });

  it("holds no secret", () => {
    expect(offered.filter((name) => /(SECRET|PASSWORD|TOKEN|_URL)$/.test(name))).toEqual([]);
  });
});
