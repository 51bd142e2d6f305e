import { enableCompileCache } from "node:module";

// Before anything else is loaded: the second start takes half the time of the first.
enableCompileCache();
const { main } = await import("./program.ts");
await main(process.argv);
