import Type, { type Static } from "typebox";
import { action, contract } from "../../lib/contract.ts";
import { EmailTaken, InvalidCredentials, InvalidToken } from "../../lib/errors.ts";
import { Message, Nullable, Obj, Uuid } from "../../lib/schema.ts";
import { Password, Role, registration, User } from "../users/users.contract.ts";

export const Session = Obj({
  message: Type.String(),
  user: User,
  access_token: Type.String({ description: "a JWT" }),
  refresh_token: Type.String({ description: "opaque; good for one refresh" }),
  token_type: Type.Literal("Bearer"),
  expires_in: Type.Integer({ description: "seconds until the access token expires" }),
});
export type Session = Static<typeof Session>;

/** Who calls, as the gateway puts it into `ctx.meta.user`. */
export const Principal = Obj({ id: Uuid(), role: Role, session_id: Uuid() });
export type Principal = Static<typeof Principal>;

const Verified = Obj({ valid: Type.Literal(true), user: User });

export const authContract = contract("auth", {
  register: action({
    summary: "Make an account and log in",
    rest: ["POST /auth/register", "POST /users/register"],
    permissions: ["public"],
    status: 201,
    rateClass: "auth",
    params: Obj(registration),
    result: Session,
    errors: [EmailTaken],
    timeout: 15_000,
  }),
  login: action({
    summary: "Log in",
    rest: ["POST /auth/login", "POST /users/login"],
    permissions: ["public"],
    rateClass: "auth",
    params: Obj({ email: Type.String({ maxLength: 254 }), password: Type.String({ maxLength: 1024 }) }),
    result: Session,
    errors: [InvalidCredentials],
    timeout: 15_000,
  }),
  refresh: action({
    summary: "A new pair of tokens; the old refresh token is spent, and its reuse ends the session",
    rest: ["POST /auth/refresh"],
    permissions: ["public"],
    rateClass: "auth",
    params: Obj({ refresh_token: Type.String({ minLength: 1, maxLength: 512 }) }),
    result: Session,
    errors: [InvalidToken],
  }),
  logout: action({
    summary: "End the session",
    rest: ["POST /auth/logout"],
    permissions: ["user"],
    params: Obj({}),
    result: Message,
  }),
  verify: action({
    summary: "Whether the token is good, and whose it is",
    rest: ["GET /auth/verify", "POST /auth/verify"],
    permissions: ["user"],
    params: Obj({}),
    result: Verified,
  }),
  forgotPassword: action({
    summary: "Ask for a one-time token by mail; the answer is the same whether or not the email is known",
    rest: ["POST /auth/password/forgot"],
    permissions: ["public"],
    status: 202,
    rateClass: "auth",
    params: Obj({ email: Type.String({ minLength: 3, maxLength: 254 }) }),
    result: Message,
  }),
  resetPassword: action({
    summary: "Set a new password by the one-time token; all sessions end",
    rest: ["POST /auth/password/reset"],
    permissions: ["public"],
    status: 202,
    rateClass: "auth",
    params: Obj({ token: Type.String({ minLength: 1, maxLength: 200 }), password: Password() }),
    result: Message,
    errors: [InvalidToken],
    timeout: 15_000,
  }),
  resolve: action({
    summary: "The principal of an access token whose session lives, or null",
    permissions: ["service"],
    params: Obj({ token: Type.String({ maxLength: 4096 }) }),
    result: Nullable(Principal),
    idempotent: true,
  }),
  endSessions: action({
    summary: "End every session of a user",
    permissions: ["service"],
    params: Obj({ user_id: Uuid() }),
    result: Type.Null(),
    idempotent: true,
  }),
});
