import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { type Answer, givenUser, type RequestOptions, send, type TestUser } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
beforeAll(async () => {
  shop = await startShop();
});
afterAll(() => shop.stop());

/** Sends as a user. */
const as =
  ({ token }: Pick<TestUser, "token">) =>
  (method: string, path: string, body?: object | string, options: RequestOptions = {}) =>
    send(shop, method, `/api/users${path}`, body, { token, ...options });

const ADDRESS = { street_address: "12 Analytical Row", city: "London", postal_code: "N1 9GU", country: "GB" };

/** Which of a user's addresses are the default. */
async function defaultsOf(user: TestUser): Promise<unknown[]> {
  const list = (await as(user)("GET", "/addresses")).at("addresses");
  if (!Array.isArray(list)) throw new Error("There is no list of addresses.");
  return list.flatMap((one) =>
    one !== null && typeof one === "object" && !Array.isArray(one) && one.is_default ? [one.id] : [],
  );
}

function expectFailure(answer: Answer, status: number, code: string, path?: string) {
  expect([answer.status, answer.at("code")]).toEqual([status, code]);
  if (path !== undefined) expect(answer.at("details", "violations", 0, "path")).toBe(path);
}

describe.each(["/profile", "/me"])("/users%s", (path) => {
  test("GET shows the account and its addresses, and no hash", async () => {
    const user = await givenUser(shop);
    const address = await as(user)("POST", "/addresses", ADDRESS);
    const answer = await as(user)("GET", path);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      user: expect.objectContaining({ id: user.id, email: user.email, name: "Ada Lovelace", phone: null }),
      addresses: [address.body],
    });
    expect(JSON.stringify(answer.body)).not.toMatch(/password|argon2/);
  });

  test("PUT changes what is given and nothing else", async () => {
    const user = await givenUser(shop);
    const put = (body: object) => as(user)("PUT", path, body);
    expect((await put({ phone: "+44 20 7946 0000" })).at("user")).toMatchObject({
      first_name: "Ada",
      last_name: "Lovelace",
      phone: "+44 20 7946 0000",
    });
    expect((await put({ name: "Augusta Ada King" })).at("user")).toMatchObject({
      first_name: "Augusta Ada",
      last_name: "King",
      name: "Augusta Ada King",
      phone: "+44 20 7946 0000",
    });
    expect((await put({ last_name: "Byron", phone: null })).at("user")).toMatchObject({
      first_name: "Augusta Ada",
      last_name: "Byron",
      phone: null,
      email: user.email,
    });
    const last = await put({});
    expect(last.status).toBe(200);
    expect((await as(user)("GET", path)).body).toEqual(last.body);
  });

  test.each([
    ["email", { email: "other@example.com" }],
    ["role", { role: "admin" }],
    ["is_active", { is_active: false }],
    ["password", { password: "another-password" }],
    ["id", { id: newId() }],
  ])("PUT does not take %s", async (field, body) => {
    const user = await givenUser(shop);
    expectFailure(await as(user)("PUT", path, body), 422, "VALIDATION_FAILED", `/${field}`);
  });

  test.each([
    ["/first_name", { first_name: "" }],
    ["/first_name", { first_name: " \t " }],
    ["/last_name", { last_name: "a".repeat(101) }],
    ["/name", { name: "a".repeat(201) }],
    ["/phone", { phone: "12" }],
    ["/phone", { phone: 1234567 }],
  ])("PUT refuses a bad %s: %j", async (where, body) => {
    expectFailure(await as(await givenUser(shop))("PUT", path, body), 422, "VALIDATION_FAILED", where);
  });

  test("is closed to guests", async () => {
    for (const method of ["GET", "PUT"]) {
      expectFailure(await send(shop, method, `/api/users${path}`), 401, "UNAUTHENTICATED");
    }
  });
});

describe("/users/addresses", () => {
  test("the first is the default, a later one only if it is asked for", async () => {
    const user = await givenUser(shop);
    const post = (fields: object) => as(user)("POST", "/addresses", { ...ADDRESS, ...fields });
    const first = await post({
      is_default: false,
      street_address: "  1 First Street ",
      state: "Greater London",
    });
    expect(first.status).toBe(201);
    expect(first.body).toEqual({
      ...ADDRESS,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      street_address: "1 First Street",
      state: "Greater London",
      is_default: true,
    });
    const second = await post({ state: null });
    expect(second.body).toMatchObject({ is_default: false, state: null });
    const third = await post({ is_default: true });
    expect(third.at("is_default")).toBe(true);
    const answer = await as(user)("GET", "/addresses");
    expect(answer.body).toEqual({
      addresses: [third.body, { ...first.body, is_default: false }, second.body],
    });
  });

  test("a change of one keeps exactly one default", async () => {
    const user = await givenUser(shop);
    const post = () => as(user)("POST", "/addresses", ADDRESS);
    const put = (answer: Answer, body: object) => as(user)("PUT", `/addresses/${answer.at("id")}`, body);
    const first = await post();
    expect((await put(first, { is_default: false })).at("is_default")).toBe(true);
    const [second, third] = [await post(), await post()];
    expect((await put(second, { city: "Paris", is_default: true })).body).toEqual({
      ...second.body,
      city: "Paris",
      is_default: true,
    });
    expect(await defaultsOf(user)).toEqual([second.at("id")]);
    expect((await put(second, { is_default: false })).at("is_default")).toBe(false);
    expect(await defaultsOf(user)).toEqual([third.at("id")]);
    const cleared = await put(first, { state: "Kent" });
    expect(cleared.at("state")).toBe("Kent");
    expect((await put(first, { state: null })).body).toEqual({
      ...first.body,
      state: null,
      is_default: false,
    });
    expect((await put(first, {})).status).toBe(200);
  });

  test("removing the default hands it to the newest other", async () => {
    const user = await givenUser(shop);
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.push(String((await as(user)("POST", "/addresses", ADDRESS)).at("id")));
    const remove = (id = "") => as(user)("DELETE", `/addresses/${id}`);
    const removed = await remove(ids[0]);
    expect(removed.status).toBe(204);
    expect(await defaultsOf(user)).toEqual([ids[2]]);
    await remove(ids[1]);
    expect(await defaultsOf(user)).toEqual([ids[2]]);
    await remove(ids[2]);
    expect((await as(user)("GET", "/addresses")).body).toEqual({ addresses: [] });
    expectFailure(await remove(ids[2]), 404, "NOT_FOUND");
  });

  test("nobody reaches somebody else's", async () => {
    const [ada, eve] = [await givenUser(shop), await givenUser(shop)];
    const address = await as(ada)("POST", "/addresses", ADDRESS);
    const path = `/addresses/${address.at("id")}`;
    expectFailure(await as(eve)("PUT", path, { city: "Paris" }), 404, "NOT_FOUND");
    expectFailure(await as(eve)("DELETE", path), 404, "NOT_FOUND");
    expect((await as(eve)("GET", "/addresses")).body).toEqual({ addresses: [] });
    expect((await as(ada)("GET", "/addresses")).body).toEqual({ addresses: [address.body] });
  });

  test.each([
    ["/city", { city: undefined }],
    ["/street_address", { street_address: "" }],
    ["/street_address", { street_address: "a".repeat(201) }],
    ["/street_address", { street_address: "a".repeat(400_000) }],
    ["/city", { city: "   " }],
    ["/city", { city: { $gt: "" } }],
    ["/state", { state: "a".repeat(101) }],
    ["/postal_code", { postal_code: "1".repeat(21) }],
    ["/country", { country: 44 }],
    ["/is_default", { is_default: "yes" }],
    ["/user_id", { user_id: newId() }],
  ])("POST refuses a bad %s", async (where, fields) => {
    const user = await givenUser(shop);
    const answer = await as(user)("POST", "/addresses", { ...ADDRESS, ...fields });
    expectFailure(answer, 422, "VALIDATION_FAILED", where);
  });

  test("keeps any script and SQL as text, up to its full length", async () => {
    const user = await givenUser(shop);
    for (const city of ["'; DELETE FROM users.addresses; --", "Đà Nẵng 🏖", "京".repeat(100), "%_\\"]) {
      expect((await as(user)("POST", "/addresses", { ...ADDRESS, city })).at("city")).toBe(city);
    }
    const nul = await as(user)("POST", "/addresses", { ...ADDRESS, city: "Lon\u0000don" });
    expectFailure(nul, 400, "MALFORMED_REQUEST");
  });

  test.each(["1", "not-an-id", "%27%20OR%201=1", "00000000-0000-0000-0000-00000000000g"])(
    "refuses the id %s",
    async (id) => {
      const user = await givenUser(shop);
      expectFailure(
        await as(user)("PUT", `/addresses/${id}`, { city: "Paris" }),
        422,
        "VALIDATION_FAILED",
        "/id",
      );
      expectFailure(await as(user)("DELETE", `/addresses/${id}`), 422, "VALIDATION_FAILED", "/id");
    },
  );

  test("refuses an id in the body, and one that nobody has", async () => {
    const user = await givenUser(shop);
    expectFailure(await as(user)("PUT", `/addresses/${newId()}`, { id: newId() }), 400, "MALFORMED_REQUEST");
    expectFailure(await as(user)("PUT", `/addresses/${newId()}`, { city: "Paris" }), 404, "NOT_FOUND");
  });

  test("is closed to guests", async () => {
    for (const [method, path] of [
      ["GET", ""],
      ["POST", ""],
      ["PUT", `/${newId()}`],
      ["DELETE", `/${newId()}`],
    ] as const) {
      expectFailure(await send(shop, method, `/api/users/addresses${path}`), 401, "UNAUTHENTICATED");
    }
  });

  test("added, made the default and removed at once, one default is left", async () => {
    const user = await givenUser(shop);
    const added = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        as(user)("POST", "/addresses", { ...ADDRESS, is_default: n % 2 === 0 }),
      ),
    );
    expect(added.map((answer) => answer.status)).toEqual(Array(12).fill(201));
    expect(await defaultsOf(user)).toHaveLength(1);
    const answers = await Promise.all(
      added.map((answer, n) =>
        n < 6
          ? as(user)("DELETE", `/addresses/${answer.at("id")}`)
          : as(user)("PUT", `/addresses/${answer.at("id")}`, { is_default: n % 3 !== 0 }),
      ),
    );
    expect(answers.map((answer) => answer.status)).toEqual([...Array(6).fill(204), ...Array(6).fill(200)]);
    expect((await as(user)("GET", "/addresses")).at("addresses")).toHaveLength(6);
    expect(await defaultsOf(user)).toHaveLength(1);
  });

  test("are at most 50, also when many are added at once", async () => {
    const user = await givenUser(shop);
    const answers = await Promise.all(
      Array.from({ length: 55 }, () => as(user)("POST", "/addresses", ADDRESS)),
    );
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(50);
    const refused = answers.filter((answer) => answer.status !== 201);
    expect(refused).toHaveLength(5);
    for (const answer of refused) {
      expectFailure(answer, 409, "TOO_MANY_ADDRESSES");
      expect(answer.at("details")).toEqual({ limit: 50 });
    }
    expect((await as(user)("GET", "/addresses")).at("addresses")).toHaveLength(50);
  });
});
