/** Services and (later) Ink components are tested in one run: ESM, TypeScript stripped by swc. */
export default {
  testMatch: ["<rootDir>/test/**/*.test.ts", "<rootDir>/test/**/*.test.tsx"],
  testPathIgnorePatterns: ["/node_modules/", "<rootDir>/test/cluster/"],
  modulePathIgnorePatterns: ["<rootDir>/dist/"],
  extensionsToTreatAsEsm: [".ts", ".tsx"],
  transform: {
    "^.+\\.tsx?$": [
      "@swc/jest",
      {
        jsc: {
          parser: { syntax: "typescript", tsx: true },
          transform: { react: { runtime: "automatic" } },
          target: "es2024",
          experimental: { keepImportAttributes: true },
        },
        module: { type: "es6" },
      },
    ],
  },
  // Some 700 modules, which each test file would load again.
  moduleNameMapper: {
    "^typebox$": "<rootDir>/node_modules/.cache/molecart/typebox/index.mjs",
    "^typebox/(.*)$": "<rootDir>/node_modules/.cache/molecart/typebox/$1.mjs",
  },
  globalSetup: "<rootDir>/test/helpers/global-setup.ts",
  globalTeardown: "<rootDir>/test/helpers/global-teardown.ts",
  testSequencer: "<rootDir>/test/helpers/slowest-first.js",
  // One more than the cores of a small machine: a third of a test's time is waiting.
  maxWorkers: 3,
  testTimeout: 20_000,
  // A worker that has loaded a hundred files takes longer to end than the half second it is given by default.
  workerGracefulExitTimeout: 5_000,
};
