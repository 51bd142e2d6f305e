export type OrderState = "pending" | "confirmed" | "shipped";

/** What a run is given: directories and files of its own, and an order in the state that its row wants. */
export interface Given {
  /** The number of an order. */
  order: string;
  /** A customer's email. */
  user: string;
  /** A directory that is empty, but for products.csv and stock.csv. */
  directory: string;
  /** A backup of the shop. */
  archive: string;
  /** The admin's. */
  password: string;
}

interface Expected {
  /** What follows the command's words. */
  line?: (given: Given) => string;
  /** By default 0. */
  code?: number;
}

interface InPipe extends Expected {
  /** What comes on stdin. */
  input?: (given: Given) => string;
  /** stdout: a pattern, or a JSON value or its last line of NDJSON. */
  prints: RegExp | { json: object };
  /** stderr; by default nothing. */
  says?: RegExp;
  /** Ctrl-C comes as soon as this stands on stdout or stderr. */
  interruptAt?: RegExp;
}

interface InTerminal extends Expected {
  /** What is waited for, and the keys that are pressed then. */
  steps?: readonly (readonly [shows: RegExp, keys: string])[];
  /** What stands there at the end. */
  shows: RegExp;
  /** Its lines are as long as what they tell: paths, addresses, files. */
  isWide?: true;
}

export interface Row {
  /** The state of the order that it needs. */
  order?: OrderState;
  /** It says nothing of a shop that is down: it looks for none. */
  isLocal?: true;
  /** It runs on an empty DATA_DIR and logs in nowhere. */
  isElsewhere?: true;
  /** It is logged in by `molecart login` before. */
  login?: true;
  pipe: InPipe;
  terminal: InTerminal;
}

/** Stands for the admin's password and Enter. */
export const PASSWORD = "<password>";
export const CTRL_C = "\u0003";
export const ENTER = "\r";
export const json = (value: object) => ({ json: value });
/** The same line in both. */
export const both = (line: InPipe["line"], pipe: InPipe, terminal: InTerminal) => ({
  pipe: { line, ...pipe },
  terminal: { line, ...terminal },
});
export const order: InPipe["line"] = (given) => given.order;
export const user: InPipe["line"] = (given) => given.user;
