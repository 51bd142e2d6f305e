import { type PageParams, pageOf } from "../../lib/schema.ts";
import type { Database } from "../../lib/stores/database.ts";
import type { User } from "./users.contract.ts";
import { toUser, type UserRow } from "./users.model.ts";

interface DirectoryQuery extends PageParams {
  /** Part of an email or a name, in any case. */
  search?: string;
  role?: User["role"];
  is_active?: boolean;
}

const WHERE = `
  WHERE ($1::text IS NULL OR email ILIKE $1 OR (first_name || ' ' || last_name) ILIKE $1)
    AND ($2::text IS NULL OR role = $2)
    AND ($3::boolean IS NULL OR is_active = $3)`;

/** One page of all users, the newest first. */
export async function listUsers(db: Database, { search, role, is_active, ...page }: DirectoryQuery) {
  const { limit, offset, pagination } = pageOf(page);
  const filters = [containing(search), role ?? null, is_active ?? null];
  const counted = await db.one<{ total: number }>(
    `SELECT count(*)::int AS total FROM users.users ${WHERE}`,
    filters,
  );
  const rows = await db.rows<UserRow>(
    `SELECT * FROM users.users ${WHERE} ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5`,
    [...filters, limit, offset],
  );
  return { users: rows.map(toUser), pagination: pagination(counted?.total ?? 0) };
}

/** A pattern for ILIKE in which `%`, `_` and `\` stand for themselves; null finds everything. */
function containing(search: string | undefined): string | null {
  const text = search?.normalize("NFC").trim() ?? "";
  return text === "" ? null : `%${text.replace(/[\\%_]/g, "\\$&")}%`;
}
