import type { IncomingMessage } from "node:http";

/** What the gateway knows of a request before it is routed. */
export interface Visit {
  ip: string;
  /** What limits count an anonymous client by. */
  limitKey: string;
  /** The route's template, for metrics: never the URL, which anyone can make up. */
  route: string;
  startedAt: number;
}

const visits = new WeakMap<IncomingMessage, Visit>();

export function openVisit(req: IncomingMessage, visit: Visit): void {
  visits.set(req, visit);
}

export function visitOf(req: IncomingMessage): Visit {
  const visit = visits.get(req);
  if (!visit) throw new Error("A request came past the front of the gateway.");
  return visit;
}
