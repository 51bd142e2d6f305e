import { once } from "node:events";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { NotFound } from "../../lib/errors.ts";
import { gateway } from "../../services/gateway/gateway.service.ts";
import { SECURITY_HEADERS } from "../../services/gateway/headers.ts";
import { TIMEOUTS } from "../../services/gateway/http-server.ts";
import { productsContract } from "../../services/products/products.contract.ts";
import { send } from "../helpers/client.ts";
import { FakePeople, type FakePerson, fakeService } from "../helpers/fakes.ts";
import { head, type RawAnswer, RawClient } from "../helpers/raw-http.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const LIMIT = 100_000;
const people = new FakePeople();
let admin: FakePerson;
let shop: Shop;

/** An import that answers how many lines came; one of CSV it gives up at the first piece. */
const products = fakeService(productsContract, {
  categories: async () => ({ categories: [] }),
  import: async (ctx) => {
    const { stream } = ctx;
    if (!(stream instanceof Readable)) throw new Error("There is no stream.");
    if (ctx.params.media_type === "text/csv") {
      await once(stream, "data");
      stream.pause();
      throw new NotFound({ what: "import of CSV" });
    }
    const lines = (await text(stream)).split("\n").filter((line) => line !== "");
    return { created: lines.length, updated: 0, rejected: [], rejected_total: 0 };
  },
});

beforeAll(async () => {
  admin = people.add("admin");
  shop = await startShop({
    env: { BODY_LIMIT: String(LIMIT) },
    replace: {
      ...people.services,
      products,
      // Short, for those who run out of it; long enough for a client that a busy machine holds up.
      gateway: gateway({ ...TIMEOUTS, headers: 300, body: 1500, leftover: 1500, streamIdle: 3000 }),
    },
  });
});
afterAll(async () => await shop.stop());

const clients: RawClient[] = [];
function connectRaw(): RawClient {
  const client = new RawClient(shop.url);
  clients.push(client);
  return client;
}
afterAll(() => {
  for (const client of clients) client.end();
});

const chunk = (data: string) => `${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`;
const LAST_CHUNK = "0\r\n\r\n";
const CHUNKED = { "Content-Type": "application/json", "Transfer-Encoding": "chunked" };

function expectFailure({ status, headers, body }: RawAnswer, expected: number, code: string): void {
  const parsed: Record<string, unknown> = JSON.parse(body);
  expect({ status, code: parsed.code }).toEqual({ status: expected, code });
  expect(
    Object.keys(parsed)
      .filter((key) => key !== "details")
      .sort(),
  ).toEqual(["code", "error", "request_id"]);
  expect(parsed.request_id).toBe(headers["x-request-id"]);
  expect(headers["content-type"]).toBe("application/json; charset=utf-8");
  for (const [name, value] of Object.entries(SECURITY_HEADERS))
    expect(headers[name.toLowerCase()]).toBe(value);
}

describe("a body that is too large", () => {
  it("is refused at its announcement, before any of it has come", async () => {
    const client = connectRaw();
    await client.write(
      head("POST /api/cart/items", { "Content-Type": "application/json", "Content-Length": LIMIT + 1 }),
    );
    expectFailure(await client.answer(), 413, "PAYLOAD_TOO_LARGE");
  });

  it("is refused when it turns out to be, and the connection serves the next request", async () => {
    const client = connectRaw();
    await client.write(head("POST /api/cart/items", CHUNKED));
    for (let sent = 0; sent <= LIMIT; sent += 16_384) await client.write(chunk("x".repeat(16_384)));
    expectFailure(await client.answer(), 413, "PAYLOAD_TOO_LARGE");
    await client.write(chunk("x".repeat(16_384)) + LAST_CHUNK + head("GET /api/categories"));
    expect((await client.answer()).status).toBe(200);
  });

  it("is not read for ever", async () => {
    const client = connectRaw();
    await client.write(head("POST /api/cart/items", CHUNKED));
    const ended = client.closed();
    let answered = false;
    const answer = client.answer().then((received) => {
      answered = true;
      return received;
    });
    while (await client.write(chunk("x".repeat(65_536)))) if (client.socket.closed) break;
    await ended;
    expect(answered).toBe(true);
    expectFailure(await answer, 413, "PAYLOAD_TOO_LARGE");
  });

  it("can be read about by an ordinary client that is still sending", async () => {
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new TextEncoder().encode("x".repeat(65_536))),
    });
    const init: RequestInit & { duplex: "half" } = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      duplex: "half",
    };
    const response = await fetch(`${shop.url}/api/cart/items`, init);
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  });

  it("of a request that is refused for another reason is let go too", async () => {
    const client = connectRaw();
    await client.write(head("POST /api/orders", CHUNKED) + chunk("{"));
    expectFailure(await client.answer(), 401, "UNAUTHENTICATED");
    await client.write(chunk("}") + LAST_CHUNK + head("GET /api/categories"));
    expect((await client.answer()).status).toBe(200);
  });

  it("of nobody in particular is not taken as a stream", async () => {
    const client = connectRaw();
    await client.write(head("POST /api/products/import", { ...CHUNKED, "Content-Type": "text/csv" }));
    expectFailure(await client.answer(), 401, "UNAUTHENTICATED");
    await client.closed();
  });
});

describe("a body that is not as it should be", () => {
  const post = async (body: string | Buffer, length = Buffer.byteLength(body)) => {
    const client = connectRaw();
    await client.write(
      head("POST /api/cart/items", { "Content-Type": "application/json", "Content-Length": length }),
    );
    await client.write(body);
    return client;
  };

  it("is refused if it is no UTF-8", async () => {
    const client = await post(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]));
    expectFailure(await client.answer(), 400, "MALFORMED_REQUEST");
  });

  it("is refused if its chunks are none", async () => {
    const client = connectRaw();
    await client.write(`${head("POST /api/cart/items", CHUNKED)}zzz\r\n`);
    expectFailure(await client.answer(), 400, "MALFORMED_REQUEST");
    await client.closed();
  });

  it("harms nobody if it ends early", async () => {
    const client = await post('{"product_id":', 100);
    client.end();
    await client.closed();
    expect((await send(shop, "GET", "/api/categories")).status).toBe(200);
  });
});

describe("a slow client", () => {
  it("has so long for the head of a request", async () => {
    const client = connectRaw();
    await client.write("GET /api/categories HTTP/1.1\r\nHost: shop\r\nX-Slow: ");
    expectFailure(await client.answer(), 408, "REQUEST_TOO_SLOW");
    await client.closed();
  });

  it("has so long for the body", async () => {
    const client = connectRaw();
    await client.write(head("POST /api/cart/items", CHUNKED) + chunk('{"product_id":'));
    expectFailure(await client.answer(), 408, "REQUEST_TOO_SLOW");
    await client.closed();
  });

  it("has as long as it needs for a stream, piece by piece", async () => {
    const stream = connectRaw();
    const headers = {
      ...CHUNKED,
      "Content-Type": "application/x-ndjson",
      Authorization: `Bearer ${admin.token}`,
    };
    await stream.write(head("POST /api/products/import", headers) + chunk("{}\n"));
    // What no stream is runs out of time meanwhile.
    for (let i = 0; i < 2; i++) {
      const other = connectRaw();
      await other.write(head("POST /api/cart/items", CHUNKED));
      expect((await other.answer()).status).toBe(408);
      await stream.write(chunk("{}\n"));
    }
    await stream.write(LAST_CHUNK);
    const answer = await stream.answer();
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject({ created: 3 });
  });

  it("may go on after a stream that was given up half-way", async () => {
    const client = connectRaw();
    const headers = { ...CHUNKED, "Content-Type": "text/csv", Authorization: `Bearer ${admin.token}` };
    await client.write(head("POST /api/products/import", headers) + chunk("a,b\n"));
    expectFailure(await client.answer(), 404, "NOT_FOUND");
    for (let i = 0; i < 8; i++) await client.write(chunk("x".repeat(65_536)));
    await client.write(LAST_CHUNK + head("GET /api/categories"));
    expect((await client.answer()).status).toBe(200);
  });

  it("doesn't hold a stream without a piece", async () => {
    const client = connectRaw();
    const headers = {
      ...CHUNKED,
      "Content-Type": "application/x-ndjson",
      Authorization: `Bearer ${admin.token}`,
    };
    await client.write(head("POST /api/products/import", headers));
    await client.closed();
  });

  it("is held to what production says", () => {
    expect(TIMEOUTS).toMatchObject({ headers: 10_000, body: 15_000 });
    expect(TIMEOUTS.keepAlive).toBeGreaterThan(60_000);
  });
});

describe("what is no HTTP", () => {
  it("is told so", async () => {
    const client = connectRaw();
    await client.write("HELLO THERE\r\n\r\n");
    expectFailure(await client.answer(), 400, "MALFORMED_REQUEST");
    await client.closed();
  });

  it("has headers that are too large: 431", async () => {
    const client = connectRaw();
    await client.write(head("GET /api/categories", { "X-Large": "x".repeat(20_000) }));
    expectFailure(await client.answer(), 431, "HEADERS_TOO_LARGE");
    await client.closed();
  });

  it("has an address of any length: 431 from node, 414 from us", async () => {
    const client = connectRaw();
    await client.write(head(`GET /api/products?search=${"x".repeat(20_000)}`));
    expectFailure(await client.answer(), 431, "HEADERS_TOO_LARGE");
    const other = connectRaw();
    await other.write(head(`GET /api/products?search=${"x".repeat(9_000)}`));
    expectFailure(await other.answer(), 414, "ADDRESS_TOO_LONG");
  });

  it("names no host", async () => {
    const client = connectRaw();
    await client.write("GET /api/categories HTTP/1.1\r\n\r\n");
    expectFailure(await client.answer(), 400, "MALFORMED_REQUEST");
  });

  it("expects what we don't know: that is left unheard", async () => {
    const client = connectRaw();
    await client.write(head("GET /api/nothing", { Expect: "a-miracle" }));
    expectFailure(await client.answer(), 404, "ROUTE_NOT_FOUND");
  });

  it("names two lengths for one body", async () => {
    const client = connectRaw();
    await client.write(head("POST /api/cart/items", { "Content-Length": 2, "Transfer-Encoding": "chunked" }));
    expectFailure(await client.answer(), 400, "MALFORMED_REQUEST");
    await client.closed();
  });
});
