#!/usr/bin/env node
import * as nodeModule from "node:module";

// This one is read before there is a cache, and by whatever Node a shell has, so it is plain JavaScript.
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(`molecart needs Node 24 or newer, and this is ${process.versions.node}.`);
  console.error(
    "Run it as `npm run -s molecart -- …` or `npx molecart …`: they take the Node that came with `npm ci`.",
  );
  process.exitCode = 1;
} else {
  // What strips types takes 40 ms to load, and is not needed for files that are in the cache.
  nodeModule.enableCompileCache();
  await import("./molecart.ts");
}
