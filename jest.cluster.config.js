import base from "./jest.config.js";

/** The shop as a cluster on real servers, broken on purpose: each file has servers and nodes of its own. */
export default {
  ...base,
  testMatch: ["<rootDir>/test/cluster/**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/"],
  moduleNameMapper: {},
  globalSetup: undefined,
  globalTeardown: undefined,
  // Most of a file's time is waiting: for a lease, a heartbeat, a server that is away.
  maxWorkers: 2,
  testTimeout: 60_000,
};
