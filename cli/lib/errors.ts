/** How a command ends: 0 ok, 1 failed, 2 misused or cancelled, 4 not logged in. */
export const EXIT = { ok: 0, failed: 1, misuse: 2, notLoggedIn: 4 } as const;

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

export class NotLoggedIn extends CliError {
  constructor(message: string, next: string) {
    super(message, { exitCode: EXIT.notLoggedIn, next });
  }
}

/** Nothing that is a shop answers at that address. */
export class ShopUnreachable extends CliError {
  constructor(url: string, why: string) {
    super(`No shop answers at ${url} (${why}).`, {
      next: "Start one with `npm start`, or name another with --url or MOLECART_URL.",
    });
  }
}

/** The shop answered, and said no. */
export class ShopRefused extends CliError {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string, requestId: string) {
    super(`The shop refused: ${message} (${status} ${code}, request ${requestId})`);
    this.status = status;
    this.code = code;
  }
}
