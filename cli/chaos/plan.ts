import { createRandom, type Random } from "../lib/random.ts";

/** What chaos can do. The first three happen to nodes, the others are servers that go away and come back. */
export const FAULT_KINDS = ["kill", "freeze", "restart", "nats", "redis", "postgres", "mongo"] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  /** From 1, in the order in which they begin. */
  n: number;
  kind: FaultKind;
  /** The nodes or the server that it happens to. */
  targets: string[];
  /** s after the start. */
  at: number;
  /** s until what it did is taken back. */
  for: number;
}

export interface PlanOptions {
  seed: string;
  /** s in which the faults begin and end. */
  duration: number;
  /** What may happen; one that stands here twice comes twice as often. */
  kinds: readonly FaultKind[];
  nodes: readonly string[];
  /** Those that may be cut. */
  servers: readonly string[];
}

/** s before the first fault, so that there is something to break. */
const QUIET = 1.5;
/** s that each kind lasts, at least and at most. A freeze may outlast a lease (8 s) and a heartbeat (6 s). */
const LENGTH: Record<FaultKind, [min: number, max: number]> = {
  kill: [0.5, 4],
  freeze: [2, 10],
  restart: [0.2, 1],
  nats: [0.5, 4],
  redis: [1, 6],
  postgres: [0.5, 4],
  mongo: [1, 6],
};
/** s between the end of an outage and the next fault. */
const GAP: [min: number, max: number] = [1, 2.5];

const isServerKind = (kind: FaultKind) => !["kill", "freeze", "restart"].includes(kind);

/**
 * Which faults come when: the same for the same options. All kinds come before one comes again. One outage ends before
 * the next fault begins; only a freeze goes on while others come, to other nodes.
 */
export function planFaults({ seed, duration, kinds, nodes, servers }: PlanOptions): Fault[] {
  const random = createRandom(`chaos:${seed}`);
  const usable = kinds.filter((kind) => (isServerKind(kind) ? servers.includes(kind) : nodes.length > 0));
  const faults: Fault[] = [];
  const frozenUntil = new Map<string, number>();
  let round: FaultKind[] = [];
  let at = QUIET;
  while (usable.length > 0) {
    if (round.length === 0) round = shuffled(usable, random);
    const kind = round.shift() ?? "kill";
    const [min, max] = LENGTH[kind];
    const length = tenths(min + random.next() * (max - min));
    const gap = GAP[0] + random.next() * (GAP[1] - GAP[0]);
    const free = nodes.filter((name) => (frozenUntil.get(name) ?? 0) <= at);
    const targets = isServerKind(kind) ? [kind] : victims(kind, free, random);
    const end = at + length;
    if (end > duration) break;
    if (targets.length > 0) {
      faults.push({ n: faults.length + 1, kind, targets, at: tenths(at), for: length });
      if (kind === "freeze") for (const name of targets) frozenUntil.set(name, end);
    }
    at = (kind === "freeze" ? at : end) + gap;
  }
  return faults;
}

/** One node; of several, now and then two that are killed at once. */
function victims(kind: FaultKind, nodes: readonly string[], random: Random): string[] {
  const wanted = kind === "kill" && nodes.length > 2 && random.next() < 0.3 ? 2 : 1;
  return shuffled(nodes, random).slice(0, wanted);
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  return list
    .map((one) => ({ one, key: random.next() }))
    .sort((a, b) => a.key - b.key)
    .map(({ one }) => one);
}

const tenths = (seconds: number) => Math.round(seconds * 10) / 10;

/** Reads `kill,nats`. @throws TypeError with what is wrong */
export function readFaults(text: string): FaultKind[] {
  return text.split(",").map((part) => {
    const kind = FAULT_KINDS.find((one) => one === part.trim());
    if (!kind)
      throw new TypeError(
        `there is no fault ${part.trim() || "without a name"}, only ${FAULT_KINDS.join(", ")}`,
      );
    return kind;
  });
}

/** `kill -9 orders-1 and gateway`, `kill -9 nats` */
export function faultText({ kind, targets }: Pick<Fault, "kind" | "targets">): string {
  const isKill = kind !== "freeze" && kind !== "restart";
  return `${isKill ? "kill -9" : kind} ${targets.join(" and ")}`;
}
