import type { JsonObject } from "./openapi-schemas.ts";
import { isAnonymous, rateClassOf } from "./rate-limits.ts";
import type { RestRoute } from "./routes.ts";

const MEANING: Readonly<Record<number, string>> = {
  400: "Malformed.",
  401: "No token, or none that is good.",
  402: "The payment was declined; nothing is left behind.",
  403: "Not allowed.",
  404: "Absent, or not yours.",
  409: "Against the present state.",
  413: "Too large.",
  415: "Not a media type that is read here.",
  422: "Valid JSON whose values are refused.",
  429: "Too often: wait.",
  500: "A bug on our side.",
  503: "Something that is needed is away: wait.",
  504: "No answer in time; it may still be done.",
};

/** The failures any request of this kind may meet, whatever its action. */
function generalCodes(route: RestRoute): [number, string][] {
  const { method, spec, pathParams, action } = route;
  // A body is read wherever one may be sent, also of a route that takes none.
  const readsBody = method !== "GET";
  const isProbe = isAnonymous(route) && action.startsWith("gateway.");
  const isPublic = spec.permissions.includes("public");
  const isGuarded = !isPublic && !spec.permissions.includes("user");
  const codes: [boolean, number, string][] = [
    [true, 400, "MALFORMED_REQUEST"],
    [!isPublic, 401, "UNAUTHENTICATED"],
    [!isAnonymous(route), 401, "INVALID_TOKEN"],
    [isGuarded, 403, "FORBIDDEN"],
    [pathParams.length > 0, 404, "NOT_FOUND"],
    [readsBody && spec.stream === undefined, 413, "PAYLOAD_TOO_LARGE"],
    [readsBody, 415, "UNSUPPORTED_MEDIA_TYPE"],
    [true, 422, "VALIDATION_FAILED"],
    [rateClassOf(route) !== "none", 429, "RATE_LIMITED"],
    [true, 500, "INTERNAL_ERROR"],
    // Probes ask nobody; the gateway's other routes ask who calls.
    [!isProbe, 503, "SERVICE_UNAVAILABLE"],
    [!isProbe, 504, "TIMEOUT"],
  ];
  return codes.filter(([applies]) => applies).map(([, status, code]) => [status, code]);
}

/** The error responses of operations; those that only say what is general are shared. */
export class ErrorResponses {
  readonly shared: { [name: string]: JsonObject } = {};

  /** By status: the general ones and those the contract names. */
  of(route: RestRoute): { [status: string]: JsonObject } {
    const general = generalCodes(route);
    const own = (route.spec.errors ?? []).map(({ status, code }): [number, string] => [status, code]);
    const statuses = [...new Set([...general, ...own].map(([status]) => status))].sort((a, b) => a - b);
    return Object.fromEntries(
      statuses.map((status) => [
        status,
        this.#response(status, codesOf(general, status), codesOf(own, status)),
      ]),
    );
  }

  #response(status: number, general: string[], own: string[]): JsonObject {
    const whole = response(status, [...new Set([...general, ...own])]);
    const [first] = general;
    if (first === undefined || own.length > 0) return whole;
    // MALFORMED_REQUEST → MalformedRequest
    const name = first
      .toLowerCase()
      .replace(/(?:^|_)(\w)/g, (_match, letter: string) => letter.toUpperCase());
    this.shared[name] = whole;
    return { $ref: `#/components/responses/${name}` };
  }
}

function codesOf(codes: readonly [number, string][], wanted: number): string[] {
  return codes.filter(([status]) => status === wanted).map(([, code]) => code);
}

function response(status: number, codes: readonly string[]): JsonObject {
  const waits = status === 429 || status === 503;
  return {
    description: `${MEANING[status] ?? "Refused."} ${codes.map((code) => `\`${code}\``).join(", ")}`,
    headers: {
      "X-Request-Id": { $ref: "#/components/headers/X-Request-Id" },
      ...(waits ? { "Retry-After": { $ref: "#/components/headers/Retry-After" } } : {}),
    },
    content: {
      "application/json": {
        schema: { $ref: "#/components/schemas/Error", properties: { code: { enum: [...codes] } } },
      },
    },
  };
}
