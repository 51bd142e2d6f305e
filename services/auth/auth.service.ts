import type { KeyObject } from "node:crypto";
import type { Logger } from "moleculer";
import { type Caller, call, type Origin } from "../../lib/call.ts";
import { failureCode, InvalidCredentials, InvalidToken } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { principalOf } from "../../lib/meta.ts";
import { configOf } from "../../lib/runtime.ts";
import { defineService } from "../../lib/service.ts";
import type { KeyValueStore } from "../../lib/stores/key-value.ts";
import { keyValue } from "../../mixins/key-value.ts";
import type { User } from "../users/users.contract.ts";
import { authContract, type Session } from "./auth.contract.ts";
import { issueReset, resetMail, spendReset } from "./password-reset.ts";
import { Sessions } from "./sessions.ts";
import { keyOf, signAccessToken, verifyAccessToken } from "./tokens.ts";

/** ms a login waits for the guest's cart. */
const CART_TIMEOUT = 2000;
/** Stands in for the id of an unknown email, so that a login asks the store the same either way. */
const NOBODY = "nobody";

export default defineService(authContract)({
  mixins: [keyValue()],

  state() {
    const { JWT_SECRET, JWT_EXPIRES_IN, SESSION_TTL } = configOf(this.broker);
    const keys = JWT_SECRET.map(keyOf);
    const [key] = keys;
    if (!key) throw new Error("auth has no JWT_SECRET");
    return {
      sessions: new Sessions(this.kv, SESSION_TTL),
      /** Signs; the others are still good, while it replaces them. */
      key,
      keys,
      expiresIn: JWT_EXPIRES_IN,
      /** Mails under way, which a stopping node lets end. */
      mails: new Set<Promise<void>>(),
    };
  },

  actions: {
    async register(ctx) {
      const { cartToken } = ctx.meta;
      const user = await call(ctx, "users.create", ctx.params);
      const { sessionId, refreshToken } = await this.sessions.open(user.id, null);
      await mergeCart(ctx, this.logger, user.id, cartToken);
      return sessionOf("Welcome: your account is ready.", user, sessionId, refreshToken, this);
    },

    async login(ctx) {
      const { cartToken } = ctx.meta;
      const { email, password } = ctx.params;
      const known = await call(ctx, "users.find", { email });
      const revocation = await this.sessions.revocationOf(known?.id ?? NOBODY);
      const user = await call(ctx, "users.checkPassword", { email, password });
      // The second holds when the account was made between the two questions: its revocation wasn't looked at.
      if (!user || user.id !== known?.id) throw new InvalidCredentials({});
      const { sessionId, refreshToken } = await this.sessions.open(user.id, revocation);
      await mergeCart(ctx, this.logger, user.id, cartToken);
      return sessionOf("You are logged in.", user, sessionId, refreshToken, this);
    },

    async refresh(ctx) {
      const presented = await this.sessions.present(ctx.params.refresh_token, Date.now());
      const user = await call(ctx, "users.find", { id: presented.record.user_id });
      if (!user?.is_active) {
        await this.sessions.end(presented.sessionId);
        throw new InvalidToken({});
      }
      const refreshToken = await this.sessions.rotate(presented);
      return sessionOf("Your session goes on.", user, presented.sessionId, refreshToken, this);
    },

    async logout(ctx) {
      await this.sessions.end(principalOf(ctx.meta).session_id);
      return { message: "You are logged out." };
    },

    async verify(ctx) {
      const user = await call(ctx, "users.find", { id: principalOf(ctx.meta).id });
      if (!user?.is_active) throw new InvalidToken({});
      return { valid: true, user };
    },

    async forgotPassword(ctx) {
      // Behind the answer, so that the answer's time does not tell whether the email is known.
      const mail = sendReset(this, this.kv, ctx.params.email)
        .catch((error: unknown) =>
          this.logger.warn("Could not send a code to set a new password", { code: failureCode(error) }),
        )
        .finally(() => this.mails.delete(mail));
      this.mails.add(mail);
      return {
        message: "If there is an account with this email, a code to set a new password was sent to it.",
      };
    },

    async resetPassword(ctx) {
      const { token, password } = ctx.params;
      // users.setPassword ends the user's sessions with it.
      await spendReset(this.kv, token, (user_id) => call(ctx, "users.setPassword", { user_id, password }));
      return { message: "Your password is changed. Log in with the new one." };
    },

    async resolve(ctx) {
      const principal = verifyAccessToken(ctx.params.token, this.keys);
      if (!principal || !(await this.sessions.lives(principal.session_id, principal.id))) return null;
      return principal;
    },

    async endSessions(ctx) {
      await this.sessions.endAll(ctx.params.user_id);
      return null;
    },
  },

  async stopped() {
    await Promise.all(this.mails);
  },
});

/** What a client gets for logging in or refreshing. */
function sessionOf(
  message: string,
  user: User,
  sessionId: string,
  refresh_token: string,
  { key, expiresIn }: { key: KeyObject; expiresIn: number },
): Session {
  const principal = { id: user.id, role: user.role, session_id: sessionId };
  return {
    message,
    user,
    access_token: signAccessToken(principal, key, expiresIn),
    refresh_token,
    token_type: "Bearer",
    expires_in: expiresIn,
  };
}

/** Moves the guest's cart into the user's. A cart that can't be moved must not keep anybody from logging in. */
async function mergeCart(
  caller: Caller,
  logger: Logger,
  user_id: string,
  cart_token: string | undefined,
): Promise<void> {
  if (cart_token === undefined) return;
  try {
    await call(caller, "cart.merge", { user_id, cart_token }, { timeout: CART_TIMEOUT });
  } catch (error) {
    logger.warn("A guest's cart was not merged at login", { code: failureCode(error) });
  }
}

/** Mails the one-time token, if there is an active account with this email. */
async function sendReset(origin: Origin, kv: KeyValueStore, email: string): Promise<void> {
  const user = await call(origin, "users.find", { email });
  if (!user?.is_active) return;
  const mail = resetMail(user.first_name, await issueReset(kv, user.id));
  const key = `password-reset:${newId()}`;
  await call(origin, "notifications.sendMail", { key, to: user.email, ...mail });
}
