import type { Static, TSchema } from "typebox";
import { ShopStatus } from "../../services/gateway/status.contract.ts";
import type { RequestOptions } from "../lib/client.ts";
import { ShopRefused } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { openSession, type Session, type ShopOptions } from "../lib/session.ts";

/** ms for a look, and for the login before the first one. */
const TIMEOUT = 2500;

/**
 * An admin's eyes on a shop, for what is shown again and again: it logs in when it is first asked, and again when the
 * shop says that the session has ended, as after a restore.
 */
export class AdminWatch {
  readonly #options: ShopOptions;
  readonly #io: Io;
  #session: Promise<Session> | undefined;

  /** @param io its signal ends what is under way */
  constructor(options: ShopOptions, io: Io) {
    this.#options = options;
    this.#io = io;
  }

  /** The shop at a glance: one call. @throws as {@link request} */
  async status(): Promise<ShopStatus> {
    return await this.request("/api/admin/status", ShopStatus);
  }

  /** @throws ShopUnreachable, NotLoggedIn, ShopRefused, Cancelled */
  async request<S extends TSchema>(
    path: string,
    result: S,
    query?: RequestOptions["query"],
  ): Promise<Static<S>> {
    const ask = ({ client }: Session) => client.request("GET", path, result, { query, timeout: TIMEOUT });
    const opened = this.session();
    try {
      return await ask(await opened);
    } catch (error) {
      if (!(error instanceof ShopRefused) || error.status !== 401) throw error;
      // Whoever finds that first has it replaced; the others wait for the same new one.
      if (this.#session === opened) this.#session = undefined;
      return await ask(await this.session());
    }
  }

  /** The login; however many ask for it, it is one. */
  session(): Promise<Session> {
    this.#session ??= openSession({ ...this.#options, timeout: TIMEOUT }, this.#io).catch(
      (error: unknown) => {
        this.#session = undefined;
        throw error;
      },
    );
    return this.#session;
  }

  async close(): Promise<void> {
    const session = await this.#session?.catch(() => undefined);
    await session?.close();
  }
}
