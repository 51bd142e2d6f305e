import { User, usersContract } from "../../services/users/users.contract.ts";
import { confirm } from "../lib/ask.ts";
import type { Client } from "../lib/client.ts";
import { CliError, EXIT, Misuse } from "../lib/errors.ts";
import { isId } from "../lib/ids.ts";
import type { Io } from "../lib/io.ts";
import type { ChangeOptions, CommonOptions } from "../lib/options.ts";
import { clip, plural, table } from "../lib/output.ts";
import { allRows, type PageOptions, pageLine } from "../lib/pages.ts";
import { type Format, lineOf } from "../lib/rows.ts";
import { withSession } from "../lib/session.ts";

export interface UserListOptions extends CommonOptions, PageOptions {
  search?: string;
  role?: string;
  inactive?: boolean;
}
export interface UserSetOptions extends ChangeOptions {
  role?: string;
  active?: boolean;
}
export interface UsersExportOptions extends CommonOptions {
  format: Format;
}

const UserPage = usersContract.actions.list.result;
const COLUMNS = [
  "id",
  "email",
  "first_name",
  "last_name",
  "phone",
  "role",
  "is_active",
  "created_at",
] as const;

/** @returns the exit code */
export async function listUsers(options: UserListOptions, io: Io): Promise<number> {
  return await withSession(options, io, async ({ client }) => {
    const { search, role, inactive, page, limit } = options;
    const query = { search, role, is_active: inactive ? false : undefined, page, limit };
    const answer = await client.request("GET", "/api/users", UserPage, { query });
    if (options.json) io.printJson(answer);
    else {
      const rows = answer.users.map((user) => [
        user.id,
        clip(user.email, 34),
        user.role,
        user.is_active ? "active" : "inactive",
      ]);
      io.printRows(table(["id", "email", "role", "state"], rows));
      io.say(pageLine("user", answer.pagination));
    }
    return EXIT.ok;
  });
}

/** @param named its id or email @throws CliError if there is none, Misuse if it is neither */
export async function findUser(client: Client, named: string): Promise<User> {
  if (isId(named)) return await client.request("GET", `/api/users/${named}`, User);
  if (!named.includes("@"))
    throw new Misuse(`${named} is neither a user's id nor an email.`, "Look with `molecart users list`.");
  const query = { search: named, limit: 100 };
  const { users } = await client.request("GET", "/api/users", UserPage, { query });
  const found = users.find(({ email }) => email.toLowerCase() === named.toLowerCase());
  if (found) return found;
  throw new CliError(`Nobody has the email ${named}.`, { next: "Look with `molecart users list --search`." });
}

/** @returns the exit code */
export async function showUser(named: string, options: CommonOptions, io: Io): Promise<number> {
  return await withSession(options, io, async ({ client }) => {
    printUser(await findUser(client, named), options, io);
    return EXIT.ok;
  });
}

function printUser(user: User, options: CommonOptions, io: Io): void {
  if (options.json) io.printJson(user);
  else {
    const rows = Object.entries(user).map(([key, value]) => [key, value === null ? "-" : String(value)]);
    for (const line of table(["", ""], rows).slice(1)) io.print(line);
  }
}

/** @returns the exit code */
export async function setUser(named: string, options: UserSetOptions, io: Io): Promise<number> {
  const { role, active } = options;
  const changes = { ...(role ? { role } : {}), ...(active === undefined ? {} : { is_active: active }) };
  if (Object.keys(changes).length === 0)
    throw new Misuse("Nothing is to be changed.", "Name it: --role or --no-active.");
  return await withSession(options, io, async ({ client }) => {
    const { id, email } = await findUser(client, named);
    const what = Object.entries(changes)
      .map(([key, value]) => `${key} ${value}`)
      .join(", ");
    if (options.dryRun) {
      if (options.json) io.printJson({ dry_run: true, id, changes });
      else io.print(`Would set ${what} for ${email}.`);
      return EXIT.ok;
    }
    await confirm(io, `Set ${what} for ${email}?`, options);
    printUser(await client.request("PUT", `/api/users/${id}`, User, { body: changes }), options, io);
    return EXIT.ok;
  });
}

/** @returns the exit code */
export async function exportUsers(options: UsersExportOptions, io: Io): Promise<number> {
  return await withSession(options, io, async ({ client }) => {
    const format = options.json ? "ndjson" : options.format;
    if (format === "csv") await io.write(`${COLUMNS.join(",")}\n`);
    const users = allRows(client, "/api/users", UserPage, {
      signal: io.signal,
      rowsOf: ({ users }) => users,
      idOf: ({ id }) => id,
      pageOf: (answer) => answer,
    });
    let count = 0;
    for await (const user of users) {
      const row = Object.fromEntries(COLUMNS.map((column) => [column, user[column]]));
      await io.write(lineOf(row, format, COLUMNS));
      count++;
    }
    io.say(`${plural(count, "user")} exported.`);
    return EXIT.ok;
  });
}
