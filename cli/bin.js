#!/usr/bin/env node
import "./needs-node.js";
// An older Node lacks what is taken from it below, and must come as far as the line above.
import * as nodeModule from "node:module";

// This one is read before there is a cache, so it is plain JavaScript: what strips types takes 40 ms to load, and is not
// needed for files that are in the cache.
nodeModule.enableCompileCache();
await import("./molecart.ts");
