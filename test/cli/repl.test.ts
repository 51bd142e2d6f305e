import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { repl } from "../../cli/actions/repl.ts";
import { openLocalRepl } from "../../cli/repl/local.ts";
import { givenUser } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";
import { act, adminOf, type Ran } from "./support.ts";

/** `npm run dev` and `molecart repl` in a pipe; the third way, over NATS, is in test/cluster/guests.test.ts. */

let shop: Shop;
let admin: Record<string, string>;
let customer: Record<string, string>;
beforeAll(async () => {
  shop = await startShop();
  admin = adminOf(shop);
  const { email, password } = await givenUser(shop);
  customer = { ...admin, ADMIN_EMAIL: email, ADMIN_PASSWORD: password };
});
afterAll(async () => await shop?.stop());

type Way = (lines: readonly string[], env: Record<string, string>, guest?: boolean) => Promise<Ran>;
const WAYS: [name: string, way: Way][] = [
  [
    "npm run dev",
    async (lines, env, guest = false) =>
      await act(async (io) => await openLocalRepl(shop.broker, { guest }, io), {
        env,
        input: lines.join("\n"),
      }),
  ],
  [
    "molecart repl",
    async (lines, env, guest = false) =>
      await act(async (io) => await repl({ guest }, io), { env, input: lines.join("\n") }),
  ],
];

describe.each(WAYS)("%s", (_, run) => {
  /** What was said, without the greeting. */
  const refusals = ({ stderr }: Ran) => stderr.trimEnd().split("\n").slice(2);

  it("calls as whom the CLI is logged in as, an answer a line", async () => {
    const { code, stderr, lines } = await run(["call users.list --limit 1", "# nothing", "", "nodes"], admin);
    expect([code, stderr.includes("as admin@molecart.local")]).toEqual([0, true]);
    expect(lines()).toMatchObject([{ pagination: { limit: 1 } }, { id: shop.broker.nodeID }]);
  });

  it("lets nobody say who they are", async () => {
    const claims = [
      "call users.list",
      "call users.list --#user.role admin",
      'call users.list {} {"user":{"role":"admin"}}',
      'call users.list {} {"caller":"orders"}',
      "call users.list --$caller orders",
      "call inventory.changes --$caller products",
    ];
    const ran = await run(claims, customer);
    expect([ran.code, ran.stdout]).toEqual([1, ""]);
    expect(refusals(ran)).toEqual([
      expect.stringContaining("(FORBIDDEN)"),
      expect.stringContaining("meta can't say user"),
      expect.stringContaining("meta can't say user"),
      expect.stringContaining("meta can't say caller"),
      expect.stringContaining("(FORBIDDEN)"),
      expect.stringContaining("(FORBIDDEN)"),
    ]);
  });

  it("keeps secrets, and runs nobody's code, for an admin too", async () => {
    const ran = await run(
      ["call $node.options", "env", "info", "load evil.service.js", "destroy users"],
      admin,
    );
    expect([ran.code, ran.stdout]).toEqual([1, ""]);
    expect(refusals(ran)).toHaveLength(5);
    for (const refusal of refusals(ran)) expect(refusal).toMatch(/FORBIDDEN|NOT_FOUND|unknown command/);
  });

  it("is nobody as a guest, and once its session has ended", async () => {
    const guest = await run(["call products.categories", "call users.list"], admin, true);
    expect(guest.code).toBe(1);
    expect(guest.lines()).toMatchObject([{ categories: [] }]);
    expect(refusals(guest)).toEqual([expect.stringContaining("(UNAUTHENTICATED)")]);
    const ended = await run(["call auth.logout", "call users.list"], admin);
    expect(ended.code).toBe(1);
    expect(ended.lines()).toMatchObject([{ message: "You are logged out." }]);
    expect(refusals(ended)).toEqual([expect.stringMatching(/\((UNAUTHENTICATED|INVALID_TOKEN)\)/)]);
  });
});
