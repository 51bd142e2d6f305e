import { readFileSync } from "node:fs";
import TestSequencer from "@jest/test-sequencer";

const STARTS_PROCESSES = /helpers\/(node-process|cli|embedded-postgres-shop)\.ts"/;

/**
 * Files that start processes are the slowest and come first, so that none is left alone at the end; then as Jest
 * orders them: by how long they took, or on a new machine by their size.
 */
export default class SlowestFirst extends TestSequencer {
  sort(tests) {
    const { first = [], others = [] } = Object.groupBy(super.sort(tests), ({ path }) =>
      STARTS_PROCESSES.test(readFileSync(path, "utf8")) ? "first" : "others",
    );
    return [...first, ...others];
  }
}
