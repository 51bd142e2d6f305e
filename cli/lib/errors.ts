/** The `code` of a system error, whatever realm it is from. */
export function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}

/** What an error says. */
export function messageOf(error: unknown): string {
  return typeof error === "object" && error !== null && "message" in error
    ? String(error.message)
    : String(error);
}

/** How a command ends: 0 ok, 1 failed, 2 misused or cancelled, 4 not logged in. */
export const EXIT = { ok: 0, failed: 1, misuse: 2, cancelled: 2, notLoggedIn: 4 } as const;

/** A failure that the reader can do something about: one sentence, and the next step. */
export class CliError extends Error {
  readonly exitCode: number;
  readonly next: string | undefined;

  constructor(message: string, options: { exitCode?: number; next?: string } = {}) {
    super(message);
    this.name = new.target.name;
    this.exitCode = options.exitCode ?? EXIT.failed;
    this.next = options.next;
  }
}

/** An option or argument that makes no sense. */
export class Misuse extends CliError {
  constructor(message: string, next?: string) {
    super(message, { exitCode: EXIT.misuse, next });
  }
}

/** Ctrl-C, or a no to a question. */
export class Cancelled extends CliError {
  constructor(message = "Cancelled.", next?: string) {
    super(message, { exitCode: EXIT.cancelled, next });
  }
}

export class NotLoggedIn extends CliError {
  constructor(message: string, next: string) {
    super(message, { exitCode: EXIT.notLoggedIn, next });
  }
}

/** A shop that was asked and did not answer: it may be there again, and may have done what it was asked. */
export class NoAnswer extends CliError {}

/** Nothing that is a shop answers at that address. */
export class ShopUnreachable extends NoAnswer {
  constructor(url: string, why: string) {
    super(`No shop answers at ${url} (${why}).`, {
      next: "Start one with `npm start`, or name another with --url or MOLECART_URL.",
    });
  }
}

/** A shop was there, and is gone: it may have died in the middle of what it was asked. */
export class ShopBrokeOff extends NoAnswer {
  /** @param isChange whether it was asked to change something */
  constructor(url: string, isChange: boolean) {
    super(
      `The shop at ${url} broke the connection off before it had answered${isChange ? ": it may have done what was asked" : ""}.`,
      {
        next: isChange
          ? "Look at `molecart health`, and at what became of it before you ask again."
          : "Look at `molecart health`, and ask again.",
      },
    );
  }
}

/** What to do about an answer of this status. */
function nextStep(status: number): string | undefined {
  if (status === 401) return "Log in with `molecart login`.";
  if (status === 403) return "Log in as an admin with `molecart login`.";
  if (status === 429) return "Wait a little, or set the shop's RATE_LIMIT.";
  return status >= 500 ? "Look at `molecart health`." : undefined;
}

/** The shop answered, and said no. */
export class ShopRefused extends CliError {
  readonly status: number;
  readonly code: string;
  /** Seconds until it may be asked again, if it said so. */
  readonly retryAfter: number | undefined;

  constructor(status: number, code: string, message: string, requestId: string, retryAfter?: number) {
    super(`The shop refused: ${message} (${status} ${code}, request ${requestId})`, {
      exitCode: status === 401 ? EXIT.notLoggedIn : EXIT.failed,
      next: nextStep(status),
    });
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}
