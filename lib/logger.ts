import type { BrokerOptions } from "moleculer";
import { type DestinationStream, multistream, pino, destination as pinoDestination, transport } from "pino";
import { logLevels } from "./announce.ts";
import type { Config } from "./config.ts";
import { LOG_LINE } from "./log-format.ts";
import { logFields } from "./tracing/scope.ts";

const PINO = {
  hooks: { logMethod },
  mixin: logFields,
  // Whatever a careless log call hands over, these never come out.
  redact: {
    paths: [
      "password",
      "*.password",
      "token",
      "*.token",
      "authorization",
      "*.authorization",
      "refresh_token",
      "*.refresh_token",
    ],
    censor: "[redacted]",
  },
};

const PRETTY = {
  target: "pino-pretty",
  options: {
    colorize: process.stdout.isTTY === true && process.stdout.hasColors(),
    ...LOG_LINE,
    translateTime: "HH:MM:ss.l",
  },
};

/** The log of one node: JSON or, on a terminal, lines for people; and always JSON into `file`, if there is one. */
export function loggerOf(
  config: Config,
  file: DestinationStream | undefined,
): NonNullable<BrokerOptions["logger"]> {
  if (config.NODE_ENV === "test" && config.LOG_LEVEL === "fatal") return false;
  const pretty = config.LOG_FORMAT ? config.LOG_FORMAT === "pretty" : process.stdout.isTTY === true;
  const level = logLevels(config.LOG_LEVEL);
  if (!file) {
    const options = { ...PINO, ...(pretty ? { transport: PRETTY } : {}) };
    return { type: "Pino", options: { level, pino: { options } } };
  }
  const screen: DestinationStream = pretty ? transport(PRETTY) : pinoDestination(1);
  const logger = pino(PINO, multistream([screen, file].map(unfiltered)));
  return {
    type: "Pino",
    options: {
      level,
      // Moleculer would copy a destination that it is given, with the streams in it, and write to nobody.
      createLogger: (own: string, bindings: object) => logger.child(bindings, { level: own }),
    },
  };
}

/** What is logged at all is for the logger to say. */
const unfiltered = (stream: DestinationStream) => ({ stream, level: "trace" as const });

/**
 * We log as Moleculer does, (message, data); pino wants them the other way round and would drop the data. And it would
 * drop a text or number behind a message that has no place for it, such as the reason of a lost connection.
 */
function logMethod(this: unknown, args: unknown[], method: (...args: unknown[]) => void): void {
  const [message, data] = args;
  if (typeof message !== "string" || args.length < 2) method.apply(this, args);
  else if (typeof data === "object" && data !== null) method.call(this, data, message);
  else method.apply(this, message.includes("%") ? args : [args.join(" ").trimEnd()]);
}
