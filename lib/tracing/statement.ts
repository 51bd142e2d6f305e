/** SQL as spans show it: without any value, and with a short name. */
export interface Statement {
  text: string;
  operation: string;
  /** `SELECT orders.orders`: few enough to group by. */
  summary: string;
}

/** Values that stand in a statement itself: texts, also quoted by dollars, and numbers, but no `$1`. */
const VALUES =
  /\$(\w*)\$[\s\S]*?\$\1\$|\b[eE]'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'|(?<![\w$."])-?\d+(?:\.\d+)?\b/g;
const COMMENT = /--[^\n]*|\/\*[\s\S]*?\*\//g;
/** With its schema, as ours are written; a name without one may be a CTE's or a function's. */
const TABLE = /\b(?:from|into|update|join)\s+"?([a-z_]\w*)"?\."?([a-z_]\w*)"?/i;

/** Statements remembered: ours are few, but what Sequelize writes with its values in it is not. */
const REMEMBERED = 1_000;
/** Longer ones are cut. */
const MAX_LENGTH = 2_000;

const known = new Map<string, Statement>();

export function statementOf(sql: string): Statement {
  let statement = known.get(sql);
  if (!statement) {
    statement = describe(sql);
    if (known.size >= REMEMBERED) known.clear();
    known.set(sql, statement);
  }
  return statement;
}

function describe(sql: string): Statement {
  const text = sql
    .replace(VALUES, "?")
    .replace(COMMENT, " ")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, MAX_LENGTH);
  const operation = /^\w+/.exec(text)?.[0].toUpperCase() ?? "SQL";
  const [, schema, table] = TABLE.exec(text) ?? [];
  return { text, operation, summary: table ? `${operation} ${schema}.${table}` : operation };
}
