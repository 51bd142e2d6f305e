#!/usr/bin/env node
import { enableCompileCache } from "node:module";

// What strips types takes 40 ms to load, and is not needed for files that are in the cache. This one is read before
// there is a cache, so it is plain JavaScript.
enableCompileCache();
await import("./molecart.ts");
