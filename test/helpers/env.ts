/** The environment of a shop under test: quiet, on a free port, nothing seeded, nothing limited. */
export const TEST_ENV = {
  NODE_ENV: "test",
  LOG_LEVEL: "fatal",
  PORT: "0",
  SEED: "none",
  RATE_LIMIT: "off",
  DATABASE_POOL: "6",
  JOBS_POLL: "0.5",
  NAMESPACE: "test",
};

export const ADMIN = { email: "admin@molecart.local", password: "admin-password-1" };

/** What every node of a test must share: the embedded shop keeps these in its DATA_DIR. */
export const SECRETS = {
  JWT_SECRET: "test-secret-test-secret-test-secret-0",
  CLUSTER_SECRET: "test-cluster-secret-test-cluster-secret-0",
  SANDBOX_WEBHOOK_SECRET: "test-webhook-secret-test-webhook-secret",
  ADMIN_EMAIL: ADMIN.email,
  ADMIN_PASSWORD: ADMIN.password,
};

/** Made once for a run by the global setup, with every service's migrations applied. */
export const TEMPLATE_DATABASE = "molecart_template";
