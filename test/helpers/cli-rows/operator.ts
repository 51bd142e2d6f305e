import { both, CTRL_C, json, order, PASSWORD, type Row } from "./row.ts";

/** What the shop is run by. */
export const OPERATOR_ROWS: Record<string, Row> = {
  "sagas list": {
    order: "pending",
    ...both(
      () => "--limit 100",
      {
        prints: /^order +kind +state +step +tries +last error\nMC-\d+ +checkout +waiting /,
        says: /sagas?, page 1/,
      },
      { shows: /MC-\d+ +checkout +waiting/ },
    ),
  },
  "sagas show": {
    order: "pending",
    ...both(order, { prints: /\nstate +waiting\n/ }, { shows: /kind +checkout/ }),
  },
  "sagas redrive": both(
    () => "--all --yes",
    { prints: /^$/, says: /^No saga is parked\.\n$/ },
    { shows: /No saga is parked\./ },
  ),
  "events list": both(
    () => "--state dead",
    { prints: /^$/, says: /^No undelivered events\. 0 dead, 0 late\.\n$/ },
    { shows: /No undelivered events\./ },
  ),
  "events show": both(
    () => "01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c11",
    {
      prints: /^$/,
      says: /^There is no undelivered event 01936f6e-\S+: it was delivered, or never was\.\n/,
      code: 1,
    },
    { shows: /There is no undelivered event/, isWide: true, code: 1 },
  ),
  "events redrive": both(
    () => "--all --yes",
    { prints: /^$/, says: /^There is no dead letter\.\n$/ },
    { shows: /There is no dead letter\./ },
  ),
  seed: {
    pipe: {
      line: () => "--products 40 --seed 9 --json",
      prints: json({ type: "summary", seed: 9, products: { wanted: 40, failed: 0 } }),
    },
    terminal: {
      line: () => "--products 1000000 --seed 8",
      steps: [[/,\d{3} of 1,000,000 products, [\d,]+\/s, .* left/, CTRL_C]],
      shows: /products [\d,]+ made, 0 there already\s+Cancelled\. Run it again with the same seed to go on\./,
      code: 2,
    },
  },
  verify: both(
    undefined,
    { prints: /✓ I1 [\s\S]*✓ I5 [\s\S]*\nAll invariants hold\.\n$/ },
    { shows: /All invariants hold\./ },
  ),
  backup: {
    isLocal: true,
    ...both(
      ({ directory }) => `--out ${directory}/backup.tar.zst`,
      {
        prints: /^\/\S+\/backup\.tar\.zst\n$/,
        says: /^[\d,]+ rows of 5 schemas, [\s\S]*secrets\.json is not in it/,
      },
      { shows: /rows of 5 schemas/, isWide: true },
    ),
  },
  restore: {
    isLocal: true,
    isElsewhere: true,
    pipe: {
      line: ({ archive }) => archive,
      prints: /^Restored [\d,]+ rows, as of /,
      says: /molecart verify/,
    },
    terminal: {
      line: ({ archive }) => `${archive} --dry-run`,
      shows: /sql\/products\/products +22\d[\s\S]*Would restore the backup of /,
      isWide: true,
    },
  },
  logs: {
    isLocal: true,
    pipe: { line: () => "--tail 1 --json", prints: json({ level: 30 }) },
    terminal: {
      line: () => "--follow",
      steps: [[/Answers at http/, CTRL_C]],
      shows: /Answers at http/,
      isWide: true,
    },
  },
  "migrate status": {
    isLocal: true,
    ...both(
      undefined,
      { prints: /^service +migration +state\nusers +0001-\S+ +applied\n/ },
      { shows: /payments +0001-\S+ +applied/ },
    ),
  },
  "migrate up": {
    isLocal: true,
    ...both(
      undefined,
      { prints: /^$/, says: /^There is nothing to do\.\n$/ },
      { shows: /There is nothing to do\./ },
    ),
  },
  "migrate down": {
    isLocal: true,
    pipe: { line: () => "--service payments --dry-run", prints: /^Would take back payments 000\d-\S+\.\n$/ },
    terminal: {
      line: () => "--service payments",
      steps: [[/A shop is running on it, and would miss them\. \[y\/N\] /, "n\r"]],
      shows: /Cancelled: nothing was done\./,
      isWide: true,
      code: 2,
    },
  },
  chaos: {
    isLocal: true,
    isElsewhere: true,
    pipe: {
      line: () => "--embedded",
      prints: /^$/,
      says: /^Starting an embedded shop…\n[\s\S]*Cancelled/,
      interruptAt: /Starting an embedded shop…/,
      code: 2,
    },
    terminal: {
      line: () => "--embedded --duration 60",
      steps: [[/orders\/s/, CTRL_C]],
      shows: /Cancelled/,
      isWide: true,
      code: 2,
    },
  },
  repl: {
    pipe: {
      input: () => "call products.get --id 1\nstock show LAMP\n",
      prints: /"id":1,[^\n]*\n[^\n]*LAMP/,
      says: /^Over REST at http/,
    },
    terminal: {
      steps: [
        [/molecart \$ /, "stock show LAMP\r"],
        [/can be bought/, "exit\r"],
      ],
      shows: /Over REST at http/,
      isWide: true,
    },
  },
  doctor: {
    isLocal: true,
    ...both(
      undefined,
      { prints: /✓ shop +answers at http[\s\S]*✓ services +all are healthy\n/ },
      { shows: /✓ services +all are healthy/, isWide: true },
    ),
  },
  login: {
    pipe: {
      line: () => "--email admin@molecart.local --password-stdin",
      input: ({ password }) => `${password}\n`,
      prints: /^Logged in to http:\S+ as admin@molecart\.local \(admin\), kept as the profile default\.\n$/,
    },
    terminal: {
      line: () => "--email admin@molecart.local",
      steps: [[/Password of admin@molecart\.local: /, PASSWORD]],
      shows: /Logged in to http/,
      isWide: true,
    },
  },
  logout: {
    isLocal: true,
    login: true,
    ...both(
      undefined,
      { prints: /^Logged out of http:\S+: the profile default is gone\.\n$/ },
      { shows: /Logged out of/ },
    ),
  },
  whoami: both(
    undefined,
    { prints: /^admin@molecart\.local \(admin\) at http:\S+\n$/ },
    { shows: /\(admin\) at http/ },
  ),
  "config show": {
    isLocal: true,
    ...both(
      undefined,
      { prints: /\nPORT +\d+\n/ },
      { shows: /ADMIN_PASSWORD +\(kept in DATA_DIR\)/, isWide: true },
    ),
  },
  "open docs": both(undefined, { prints: /^http:\S+\/api\/docs\n$/ }, { shows: /\/api\/docs/ }),
  completion: {
    isLocal: true,
    ...both(() => "bash", { prints: /complete -F _molecart/ }, { shows: /complete/, isWide: true }),
  },
};
