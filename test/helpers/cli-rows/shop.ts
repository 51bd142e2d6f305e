import { both, CTRL_C, ENTER, json, order, type Row, user } from "./row.ts";

/** What is sold, ordered, and to whom. */
export const SHOP_ROWS: Record<string, Row> = {
  health: {
    pipe: { prints: /: healthy\n[\s\S]*✓ {2}gateway +healthy +1 of 1[\s\S]*\nsagas +0 under way/ },
    terminal: {
      line: () => "--watch",
      steps: [[/sagas +\d+ under way/, CTRL_C]],
      shows: /HEALTHY {2}http:/,
    },
  },
  top: {
    pipe: {
      line: () => "--count 2",
      prints: /^\S+ +healthy[^\n]+\n\S+ +healthy[^\n]+calls\/s[^\n]+\n$/,
    },
    terminal: {
      steps: [
        [/\[1 services\]/, "6"],
        [/\[6 stock\]/, "?"],
        [/this help/, CTRL_C],
      ],
      shows: /circuits/,
    },
  },
  "order place": {
    pipe: {
      line: () => "--item LAMP:2 --address Home --pay pm_card_visa",
      prints: /^MC-\d+ {2}confirmed {2}20\.00 EUR\n[\s\S]*\n2 {2}Oak lamp +LAMP +20\.00 EUR\n/,
    },
    terminal: {
      steps: [
        [/Search: ▏\s+❯/, "LAMP"],
        [/Search: LAMP▏\s+❯ +Oak lamp/, ENTER],
        [/Cart: 1 piece, 10\.00 EUR/, "\t"],
        [/To: ▏/, "1 Mill Lane"],
        [/To: 1 Mill Lane▏/, ENTER],
        [/❯ +Visa: succeeds/, ENTER],
        [/paid by pm_card_visa/, ENTER],
      ],
      shows: /MC-\d+ {2}confirmed {2}10\.00 EUR\s+id +\S+\s+to +1 Mill Lane\s/,
    },
  },
  "order list": {
    order: "pending",
    ...both(
      () => "--limit 100",
      {
        prints: /^order +status +total +items +placed \(UTC\)\nMC-\d+ /,
        says: /^\d+ orders, page 1 of \d+\.\n$/,
      },
      { shows: /MC-\d+ +pending +10\.00 EUR +1 item/ },
    ),
  },
  "order show": {
    order: "confirmed",
    ...both(
      order,
      { prints: /^MC-\d+ {2}confirmed {2}10\.00 EUR\n[\s\S]*pending → confirmed {2}by customer\n$/ },
      { shows: /payment {2}captured, 10\.00 EUR by sandbox/ },
    ),
  },
  "order watch": {
    order: "confirmed",
    pipe: {
      line: ({ order }) => `${order} --until confirmed`,
      prints: / pending → confirmed {2}by customer\n$/,
    },
    terminal: {
      line: order,
      steps: [[/Ctrl-C ends/, CTRL_C]],
      shows: /● pending → confirmed/,
    },
  },
  "order pay": {
    order: "pending",
    ...both(order, { prints: /^MC-\d+ {2}confirmed / }, { shows: /confirmed {2}10\.00 EUR/ }),
  },
  "order ship": {
    order: "confirmed",
    ...both(order, { prints: /^MC-\d+ {2}shipped / }, { shows: /processing → shipped/ }),
  },
  "order deliver": {
    order: "shipped",
    ...both(order, { prints: /^MC-\d+ {2}delivered / }, { shows: /shipped → delivered/ }),
  },
  "order cancel": {
    order: "confirmed",
    pipe: {
      line: ({ order }) => `${order} --reason "changed my mind" --yes`,
      prints: /^MC-\d+ {2}cancelled [\s\S]*\nrefunded 10\.00 EUR\n/,
    },
    terminal: { line: order, steps: [[/\[y\/N\] /, "y\r"]], shows: /cancelled {2}10\.00 EUR/ },
  },
  "order refund": {
    order: "confirmed",
    pipe: {
      line: ({ order }) => `${order} --amount 4 --yes`,
      prints: /\npayment {2}partially_refunded, [\s\S]*\nrefunded 4\.00 EUR\n/,
    },
    terminal: { line: order, steps: [[/\[y\/N\] /, "n\r"]], shows: /Cancelled: nothing was done\./, code: 2 },
  },
  "order flow": {
    pipe: {
      line: () => "--count 4 --concurrency 2 --json",
      prints: json({ type: "summary", visits: 4, failed: 0 }),
    },
    terminal: {
      line: () => "--count 100000 --concurrency 2",
      steps: [[/Ctrl-C stops/, CTRL_C]],
      shows: /Cancelled after \d+ of 100000 visits; each one that was begun has ended\./,
      code: 2,
    },
  },
  "products list": both(
    () => "--search lamp",
    {
      prints: /^ *id +sku +name +price +stock\n[\s\S]*\bLAMP +Oak lamp +10\.00 EUR +\d+\n/,
      says: /^\d+ products?, page 1 /,
    },
    { shows: /LAMP +Oak lamp/ },
  ),
  "products show": both(() => "LAMP", { prints: /\nsku +LAMP\nname +Oak lamp\n/ }, { shows: /Oak lamp/ }),
  "products set": both(
    () => "MUG --price 4.50",
    { prints: /\nprice +4\.50 EUR\n/ },
    { shows: /price +4\.50 EUR/ },
  ),
  "products import": both(
    ({ directory }) => `${directory}/products.csv`,
    { prints: /^\d created, \d updated, 0 rejected\.\n$/, says: /^44 of 44 bytes, / },
    { shows: /\d created, \d updated, 0 rejected\./ },
  ),
  "products export": both(
    () => "--search lamp --format csv",
    { prints: /^sku,name,[^\n]*\n([^\n]*\n)*LAMP,Oak lamp,/, says: /^\d+ products exported\.\n$/ },
    { shows: /LAMP,Oak lamp,/, isWide: true },
  ),
  "stock list": both(
    () => "--limit 100",
    { prints: / +id +sku +name +stock\n/, says: / products, page 1 of / },
    { shows: / products, page 1 of / },
  ),
  "stock show": both(
    () => "LAMP",
    { prints: /^\d+ pieces of product \d+ \(LAMP, Oak lamp\) can be bought\.\n$/ },
    { shows: /can be bought/ },
  ),
  "stock set": both(
    () => "MUG 40",
    { prints: /^40 pieces of product \d+ \(MUG/ },
    { shows: /40 pieces of product/ },
  ),
  "stock import": {
    pipe: {
      line: () => "- --format csv",
      input: () => "product_id,quantity\n1,40\n",
      prints: /^1 set, 0 rejected\.\n$/,
    },
    terminal: { line: ({ directory }) => `${directory}/stock.csv`, shows: /1 set, 0 rejected\./ },
  },
  "stock export": both(
    () => "--search lamp",
    {
      prints: /^product_id,sku,quantity\n(\d+,[^\n]+\n)*\d+,LAMP,\d+\n/,
      says: /^\d+ products exported\.\n$/,
    },
    { shows: /product_id,sku,quantity/ },
  ),
  "users list": both(
    () => "--role admin",
    {
      prints: /^id +email +role +state\n\S+ +admin@molecart\.local +admin +active\n$/,
      says: /^1 user, page 1 of 1\.\n$/,
    },
    { shows: /admin@molecart\.local +admin +active/ },
  ),
  "users show": both(user, { prints: /^id +\S+\nemail +\S+@example\.com\n/ }, { shows: /role +customer/ }),
  "users set": {
    pipe: { line: ({ user }) => `${user} --no-active --yes`, prints: /is_active +false/ },
    terminal: {
      line: ({ user }) => `${user} --role admin`,
      steps: [[/\[y\/N\] /, "y\r"]],
      shows: /role +admin/,
    },
  },
  "users export": both(
    () => "--format csv",
    {
      prints: /^id,email,first_name,[^\n]*\n[\s\S]*,admin@molecart\.local,/,
      says: /^\d+ users exported\.\n$/,
    },
    { shows: /admin@molecart\.local/, isWide: true },
  ),
};
