/** The environment of a shop under test: quiet, on a free port, nothing seeded, nothing limited. */
export const TEST_ENV = {
  NODE_ENV: "test",
  LOG_LEVEL: "fatal",
  PORT: "0",
  SEED: "none",
  RATE_LIMIT: "off",
  DATABASE_POOL: "6",
  NAMESPACE: "test",
};

/** Made once for a run by the global setup, with every service's migrations applied. */
export const TEMPLATE_DATABASE = "molecart_template";
