/**
 * The names of spans' attributes, declared before anything sets them: OpenTelemetry's semantic conventions, and a few of
 * ours. Values are never a person's: no address of theirs, no token, no query of a URL, no values of a statement.
 * docs/observability.md lists them.
 */

export const ATTRIBUTES = {
  errorType: "error.type",
  requestId: "molecart.request_id",

  httpMethod: "http.request.method",
  httpRoute: "http.route",
  httpStatus: "http.response.status_code",

  rpcSystem: "rpc.system",
  rpcService: "rpc.service",
  rpcMethod: "rpc.method",
  /** The node that a call went to. */
  peerNode: "molecart.peer.node",

  dbSystem: "db.system.name",
  dbNamespace: "db.namespace",
  dbOperation: "db.operation.name",
  dbCollection: "db.collection.name",
  dbStatement: "db.query.text",
  dbStatus: "db.response.status_code",

  messagingSystem: "messaging.system",
  messagingOperation: "messaging.operation.name",
  messagingDestination: "messaging.destination.name",
  messagingId: "messaging.message.id",

  peerService: "peer.service",
} as const;

export type Attribute = (typeof ATTRIBUTES)[keyof typeof ATTRIBUTES];
export type Attributes = Partial<Record<Attribute, string | number>>;

/** `resource` of each span: service.name is the Moleculer service, also where one process runs them all. */
export const RESOURCE = {
  service: "service.name",
  namespace: "service.namespace",
  node: "service.instance.id",
  version: "service.version",
} as const;
