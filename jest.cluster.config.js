import base from "./jest.config.js";

/** The shop as a cluster on real servers, broken on purpose: one file after the other, each with its own servers. */
export default {
  ...base,
  testMatch: ["<rootDir>/test/cluster/**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/"],
  globalSetup: undefined,
  globalTeardown: undefined,
  maxWorkers: 1,
  testTimeout: 60_000,
};
