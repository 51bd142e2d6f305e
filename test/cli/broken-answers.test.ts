import { createServer, type ServerResponse } from "node:http";
import { expect, it } from "@jest/globals";
import Type from "typebox";
import { listProducts } from "../../cli/actions/products.ts";
import { createClient } from "../../cli/lib/client.ts";
import { act } from "./support.ts";

/** A shop that is alive, and answers everything else so. */
async function withShop<T>(answer: (response: ServerResponse) => void, work: (url: string) => Promise<T>) {
  const server = createServer((request, response) => {
    if (request.url === "/health/live") response.end('{"status":"alive"}');
    else request.resume().on("end", () => answer(response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await work(`http://127.0.0.1:${Object(server.address()).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const half = (response: ServerResponse) => {
  response.writeHead(200, { "content-length": 100 });
  response.write('{"products":[', () => response.destroy());
};

it.each([
  ["dies before it answers", (response: ServerResponse) => void response.destroy()],
  ["resets the connection", ({ socket }: ServerResponse) => void Object(socket).resetAndDestroy()],
  ["dies in the middle of its answer", half],
])("a shop that %s is told in words, with what to do", async (_, answer) => {
  await withShop(answer, async (url) => {
    const options = { limit: 1, page: 1 };
    const ran = await act(async (io) => await listProducts(options, io), { env: { MOLECART_URL: url } });
    expect(ran).toMatchObject({
      code: 1,
      stdout: "",
      stderr:
        `The shop at ${url} broke the connection off before it had answered.\n` +
        "Look at `molecart health`, and ask again.\n",
    });
    const change = createClient(url).request("POST", "/api/orders", Type.Null(), { body: {} });
    await expect(change).rejects.toMatchObject({
      message: `The shop at ${url} broke the connection off before it had answered: it may have done what was asked.`,
      next: "Look at `molecart health`, and at what became of it before you ask again.",
    });
  });
});

it("a proxy whose shop is gone is told by what it answered", async () => {
  const answer = (response: ServerResponse) => void response.writeHead(502).end("<h1>Bad Gateway</h1>");
  await withShop(answer, async (url) => {
    await expect(createClient(url).request("GET", "/api/products", Type.Null())).rejects.toMatchObject({
      message: `No shop answers at ${url} (what stands before it answered 502).`,
    });
  });
});

it("Ctrl-C while an answer comes in is no failure of the shop's", async () => {
  const stop = new AbortController();
  const answer = (response: ServerResponse) => {
    response.writeHead(200, { "content-length": 100 });
    response.write('{"products":[', () => stop.abort());
  };
  await withShop(answer, async (url) => {
    const client = createClient(url, { signal: stop.signal });
    await expect(client.request("GET", "/api/products", Type.Null())).rejects.toMatchObject({
      name: "Cancelled",
    });
  });
});

it("an address that speaks no TLS is told in words", async () => {
  await withShop(half, async (url) => {
    const secure = url.replace("http:", "https:");
    await expect(createClient(secure).reach()).rejects.toMatchObject({
      message: `No shop answers at ${secure} (it speaks no TLS there: try http://).`,
    });
  });
});
