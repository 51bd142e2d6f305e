import { bool, cleanEnv, host, port, str } from "envalid";
import {
  address,
  amount,
  currency,
  decimal,
  email,
  integer,
  list,
  mailFrom,
  mongoUrl,
  natsUrls,
  nodeId,
  notInSubjects,
  origins,
  pairs,
  password,
  postgresUrl,
  rateLimit,
  seconds,
  secret,
  secrets,
  services,
  smtpUrl,
} from "./config-values.ts";
import { withFiles } from "./env-files.ts";
import { TAX_PLACES } from "./money.ts";
import { type ServiceName, SQL_SERVICES, type SqlService } from "./service-names.ts";

/**
 * The one place that reads the environment. Names and defaults stand in docs/configuration.md; a bad value stops the boot
 * with the list of all that is wrong.
 */

export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`The configuration is not valid:\n${problems.map((p) => `  - ${p}`).join("\n")}`);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** What OpenTelemetry calls them. */
const SAMPLERS = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;
/** Of the traces of a shop with traffic; one on a laptop keeps all. */
const CLUSTER_RATIO = 0.1;

/** Connections a service opens at most. Embedded, all the services' pools share one small Postgres. */
const POOL = 8;
const EMBEDDED_POOL = 3;

const SPEC = {
  NODE_ENV: str({ default: "development" }),
  PORT: integer(0, 65_535)({ default: 8080 }),
  HOST: host({ default: "127.0.0.1" }),
  SERVICES: services({ default: [] }),
  NAMESPACE: str({ default: "molecart" }),
  NODE_ID: nodeId({ default: "" }),
  CLUSTER_SECRET: secrets({ default: [] }),
  NATS_URL: natsUrls({ default: [] }),
  NATS_USER: str({ default: "" }),
  NATS_PASSWORD: str({ default: "" }),
  NATS_TOKEN: str({ default: "" }),
  NATS_TLS_CA: str({ default: "" }),
  NATS_TLS_CERT: str({ default: "" }),
  NATS_TLS_KEY: str({ default: "" }),
  DATABASE_URL: postgresUrl({ default: "" }),
  USERS_DATABASE_URL: postgresUrl({ default: "" }),
  PRODUCTS_DATABASE_URL: postgresUrl({ default: "" }),
  INVENTORY_DATABASE_URL: postgresUrl({ default: "" }),
  ORDERS_DATABASE_URL: postgresUrl({ default: "" }),
  PAYMENTS_DATABASE_URL: postgresUrl({ default: "" }),
  DATABASE_POOL: integer(2, 200)({ default: undefined }),
  DATABASE_TIMEOUT: integer(1_000, 600_000)({ default: 30_000 }),
  JOBS_POLL: decimal(0.5, 30)({ default: 2 }),
  MIGRATE: str({ choices: ["auto", "off"], default: "auto" }),
  MONGO_URL: mongoUrl({ default: "" }),
  REDIS_URL: address(["redis:", "rediss:"], "redis://host:6379")({ default: "" }),
  DATA_DIR: str({ default: ".data" }),
  SEED: str({ choices: ["demo", "none"], default: undefined }),
  JWT_SECRET: secrets({ default: [] }),
  JWT_EXPIRES_IN: seconds({ default: 900 }),
  SESSION_TTL: seconds({ default: 30 * 86_400 }),
  CART_TTL: seconds({ default: 7 * 86_400 }),
  ADMIN_EMAIL: email({ default: "" }),
  ADMIN_PASSWORD: password({ default: "" }),
  PASSWORD_REQUIRE: list({ default: [] }),
  RATE_LIMIT: rateLimit({ default: 1 }),
  PAYMENT_PROVIDER: str({ choices: ["sandbox"], default: "sandbox" }),
  PAYMENT_TIMEOUT: integer(100, 60_000)({ default: 4000 }),
  SANDBOX_WEBHOOK_SECRET: secret({ default: undefined }),
  WEBHOOK_RETENTION_DAYS: integer(1, 36_500)({ default: 90 }),
  SAGA_LEASE: integer(500, 60_000)({ default: 8000 }),
  RESERVATION_TTL: seconds({ default: 900 }),
  CURRENCY: currency({ default: "EUR" }),
  SHIPPING_FLAT: amount({ default: 0 }),
  SHIPPING_FREE_FROM: amount({ default: 0 }),
  TAX_PERCENT: decimal(0, 100, TAX_PLACES)({ default: 0 }),
  ANALYTICS_RETENTION_DAYS: integer(1, 36_500)({ default: 400 }),
  // As long as dead letters are kept, or one that is delivered again would be told again.
  NOTIFICATION_RETENTION_DAYS: integer(60, 36_500)({ default: 90 }),
  LOW_STOCK_THRESHOLD: integer(0, 1_000_000)({ default: 5 }),
  SMTP_URL: smtpUrl({ default: "" }),
  MAIL_FROM: mailFrom({ default: "" }),
  CORS_ORIGINS: origins({ default: [] }),
  TRUST_PROXY: bool({ default: false }),
  BODY_LIMIT: integer(1024, 100_000_000)({ default: 1_000_000 }),
  REQUEST_TIMEOUT: integer(100, 600_000)({ default: 5000 }),
  SHUTDOWN_TIMEOUT: integer(0, 600_000)({ default: 10_000 }),
  LOG_LEVEL: str({ choices: ["fatal", "error", "warn", "info", "debug", "trace"], default: "info" }),
  LOG_FORMAT: str({ choices: ["pretty", "json"], default: undefined }),
  LOG_FILES: str({ choices: ["on", "off"], default: undefined }),
  METRICS_PORT: port({ default: undefined }),
  HEALTH_PORT: port({ default: undefined }),
  OTEL_EXPORTER_OTLP_ENDPOINT: address(["http:", "https:"], "http://localhost:4318")({ default: "" }),
  OTEL_EXPORTER_OTLP_HEADERS: pairs({ default: {} }),
  OTEL_TRACES_SAMPLER: str({ choices: SAMPLERS, default: "parentbased_traceidratio" }),
  OTEL_TRACES_SAMPLER_ARG: decimal(0, 1)({ default: undefined }),
  OTEL_BSP_SCHEDULE_DELAY: integer(10, 60_000)({ default: 5000 }),
};

function clean(env: NodeJS.ProcessEnv) {
  const problems: string[] = [];
  // An empty variable (as compose files and shells make them) is an absent one.
  const present = Object.fromEntries(
    Object.entries(withFiles(env, Object.keys(SPEC), problems)).filter(([, value]) => value !== ""),
  );
  const values = cleanEnv(present, SPEC, {
    reporter: ({ errors }) => {
      for (const [name, error] of Object.entries(errors))
        problems.push(`${name} ${error?.message ?? "is not valid"}`);
    },
  });
  if (problems.length === 0 && values.NATS_URL.length > 0) problems.push(...notInSubjects(values));
  if (problems.length > 0) throw new ConfigError(problems);
  return { ...values };
}

type Values = ReturnType<typeof clean>;

export interface Config
  extends Omit<
    Values,
    "DATABASE_POOL" | "LOG_FILES" | "OTEL_TRACES_SAMPLER_ARG" | "SANDBOX_WEBHOOK_SECRET" | "SEED"
  > {
  /** True when Postgres is the one that came with `npm ci`, under `DATA_DIR`. */
  embedded: boolean;
  DATABASE_POOL: number;
  OTEL_TRACES_SAMPLER_ARG: number;
  /** Whether the node's log goes into files under `DATA_DIR`, too. */
  LOG_FILES: boolean;
  SANDBOX_WEBHOOK_SECRET: string;
  SEED: "demo" | "none";
  /** How metrics name it: `common`, or the service's name where it has a database of its own. */
  databaseNameOf(service: SqlService): string;
  /** The database of a service: its own, or the common one. */
  databaseUrl(service: SqlService): string;
}

/** What an embedded shop makes for itself at its first start and keeps in `DATA_DIR`. */
export interface KeptSecrets {
  JWT_SECRET: string;
  SANDBOX_WEBHOOK_SECRET: string;
  ADMIN_EMAIL: string;
  ADMIN_PASSWORD: string;
}

/** What an embedded shop brings up for itself before its configuration is complete. */
export interface Embedded {
  databaseUrl: string;
  secrets: KeptSecrets;
}

/**
 * Whether this environment asks for the embedded Postgres. A node of a cluster never has one: each would sell from a
 * stock of its own.
 */
export function isEmbedded(env: NodeJS.ProcessEnv): boolean {
  return !env.DATABASE_URL && !env.DATABASE_URL_FILE && !env.NATS_URL;
}

/** Only checks: for a boot that must not bring anything up on a bad configuration. @throws ConfigError */
export function checkConfig(env: NodeJS.ProcessEnv): Pick<Config, "DATA_DIR" | "SERVICES"> {
  const nothing = { JWT_SECRET: "-", SANDBOX_WEBHOOK_SECRET: "-", ADMIN_EMAIL: "-", ADMIN_PASSWORD: "-" };
  return isEmbedded(env) ? loadConfig(env, { databaseUrl: "", secrets: nothing }) : loadConfig(env);
}

/**
 * Reads and checks the environment.
 * @param own the embedded shop's Postgres and secrets; the secrets count where the environment gives none
 * @throws ConfigError with every problem found
 */
export function loadConfig(env: NodeJS.ProcessEnv, own?: Embedded): Config {
  const values = clean(env);
  const embedded = own !== undefined;
  const kept: Partial<KeptSecrets> = own?.secrets ?? {};
  const databaseUrl = own?.databaseUrl ?? values.DATABASE_URL;
  const problems: string[] = [];
  const { JWT_SECRET: given } = values;
  const JWT_SECRET = given.length === 0 && kept.JWT_SECRET !== undefined ? [kept.JWT_SECRET] : given;
  if (!embedded) problems.push(...missing(values));
  const ratio = values.OTEL_TRACES_SAMPLER_ARG ?? (embedded ? 1 : CLUSTER_RATIO);
  for (const rule of values.PASSWORD_REQUIRE) {
    if (!["upper", "lower", "digit", "symbol"].includes(rule)) {
      problems.push(`PASSWORD_REQUIRE knows upper, lower, digit and symbol, not ${rule}`);
    }
  }
  if ((values.ADMIN_EMAIL === "") !== (values.ADMIN_PASSWORD === "")) {
    problems.push("ADMIN_EMAIL and ADMIN_PASSWORD go together");
  }
  if (values.SMTP_URL !== "" && values.MAIL_FROM === "") problems.push("MAIL_FROM is required with SMTP_URL");
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    ...values,
    DATABASE_URL: databaseUrl,
    DATABASE_POOL: values.DATABASE_POOL ?? (embedded ? EMBEDDED_POOL : POOL),
    OTEL_TRACES_SAMPLER_ARG: ratio,
    LOG_FILES: values.LOG_FILES ? values.LOG_FILES === "on" : embedded && values.NODE_ENV !== "test",
    embedded,
    JWT_SECRET,
    // A cluster without one still refuses forged sandbox webhooks: its nodes share JWT_SECRET.
    SANDBOX_WEBHOOK_SECRET:
      values.SANDBOX_WEBHOOK_SECRET ?? kept.SANDBOX_WEBHOOK_SECRET ?? `sandbox:${JWT_SECRET[0]}`,
    ADMIN_EMAIL: values.ADMIN_EMAIL || (kept.ADMIN_EMAIL ?? ""),
    ADMIN_PASSWORD: values.ADMIN_PASSWORD || (kept.ADMIN_PASSWORD ?? ""),
    SEED: values.SEED === "demo" || (values.SEED === undefined && embedded) ? "demo" : "none",
    databaseUrl: (service) => ownUrl(values, service) || databaseUrl,
    databaseNameOf: (service) => (ownUrl(values, service) === "" ? "common" : service),
  };
}

function ownUrl(values: Values, service: SqlService): string {
  return {
    users: values.USERS_DATABASE_URL,
    products: values.PRODUCTS_DATABASE_URL,
    inventory: values.INVENTORY_DATABASE_URL,
    orders: values.ORDERS_DATABASE_URL,
    payments: values.PAYMENTS_DATABASE_URL,
  }[service];
}

/** What this node can't do without, by the services it runs: it is given their secrets, and no others. */
function missing(values: Values): string[] {
  const { SERVICES, DATABASE_URL, REDIS_URL, JWT_SECRET, SANDBOX_WEBHOOK_SECRET } = values;
  const runs = (service: ServiceName) => SERVICES.length === 0 || SERVICES.includes(service);
  const usesDatabase =
    SQL_SERVICES.some((service) => runs(service) && ownUrl(values, service) === "") ||
    (REDIS_URL === "" && (runs("auth") || runs("cart")));
  const signs = runs("auth") || (runs("payments") && SANDBOX_WEBHOOK_SECRET === undefined);
  return [
    ...(usesDatabase && DATABASE_URL === "" ? ["DATABASE_URL is required"] : []),
    ...(signs && JWT_SECRET.length === 0 ? ["JWT_SECRET is required (32 characters or more)"] : []),
  ];
}

/** What a guest node of a cluster needs to know (lib/seal.ts): no secret but NATS' own. @throws ConfigError */
export function guestConfig(
  env: NodeJS.ProcessEnv,
): Pick<Config, "NAMESPACE" | "REQUEST_TIMEOUT"> & NatsConfig {
  return clean(env);
}

/** How a node reaches NATS. */
export type NatsConfig = Pick<
  Config,
  | "NODE_ID"
  | "NATS_URL"
  | "NATS_USER"
  | "NATS_PASSWORD"
  | "NATS_TOKEN"
  | "NATS_TLS_CA"
  | "NATS_TLS_CERT"
  | "NATS_TLS_KEY"
>;

/** Where the stores are. */
export type StoresConfig = Pick<
  Config,
  "DATABASE_POOL" | "DATABASE_URL" | "REDIS_URL" | "MONGO_URL" | "DATA_DIR" | "NAMESPACE" | "databaseUrl"
>;

/**
 * What migrating and backing up need to know: no secret but the stores' own.
 * @param embeddedUrl the embedded shop's Postgres, if it has one
 * @throws ConfigError
 */
export function databaseConfig(env: NodeJS.ProcessEnv, embeddedUrl = ""): StoresConfig {
  const values = clean(env);
  const databaseUrl = embeddedUrl || values.DATABASE_URL;
  if (databaseUrl === "" && SQL_SERVICES.some((service) => ownUrl(values, service) === ""))
    throw new ConfigError(["DATABASE_URL is required"]);
  return {
    ...values,
    DATABASE_URL: databaseUrl,
    DATABASE_POOL: values.DATABASE_POOL ?? POOL,
    databaseUrl: (service) => ownUrl(values, service) || databaseUrl,
  };
}
