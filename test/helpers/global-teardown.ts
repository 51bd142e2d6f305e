import { rm } from "node:fs/promises";

export default async function globalTeardown(): Promise<void> {
  await globalThis.testPostgres?.stop();
  if (globalThis.testDataDir) await rm(globalThis.testDataDir, { recursive: true, force: true });
}
