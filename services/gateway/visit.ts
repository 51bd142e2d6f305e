import { IncomingMessage } from "node:http";

/** What the gateway knows of a request before it is routed. */
export interface Visit {
  /** The client's `X-Request-Id` if it is one, else a new one. */
  requestId: string;
  ip: string;
  /** What limits count an anonymous client by. */
  limitKey: string;
  /** The route's template, for metrics: never the URL, which anyone can make up. */
  route: string;
  startedAt: number;
}

/** A request as the gateway's server makes it. */
export class VisitingRequest extends IncomingMessage {
  visit: Visit | undefined = undefined;
}

export function visitOf(req: IncomingMessage): Visit {
  const visit = req instanceof VisitingRequest ? req.visit : undefined;
  if (!visit) throw new Error("A request came past the front of the gateway.");
  return visit;
}
