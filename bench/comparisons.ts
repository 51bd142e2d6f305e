import { get } from "node:http";
import { givenUser } from "../test/helpers/client.ts";
import { type Bodies, startHello } from "./floors/hello.ts";
import { prepareSql, startSql } from "./floors/sql.ts";
import { checkouts, load, type Request } from "./load.ts";
import { type Contender, compare } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { type Result, resultOf } from "./report.ts";
import { type Ground, type RunningShop, type StockedShop, stocked, untilSeeded } from "./shop.ts";

export interface Bench {
  ground: Ground;
  options: BenchOptions;
  say: (line: string) => void;
}

/** The shop's two cached reads beside a bare moleculer-web. */
export async function compareReads(bench: Bench, title: string, shop: StockedShop): Promise<Result> {
  const { options, say } = bench;
  const [product = 0] = shop.products;
  const paths = { detail: `/api/products/${product}`, list: "/api/products?limit=10" };
  const bodies: Bodies = {
    hello: { message: "Hello" },
    detail: await read(shop.url + paths.detail),
    list: await read(shop.url + paths.list),
  };
  const size = (name: string) => `${Buffer.byteLength(JSON.stringify(bodies[name]))} B`;
  const names = {
    hello: `hello, ${size("hello")}`,
    helloDetail: `hello, ${size("detail")}`,
    helloList: `hello, ${size("list")}`,
    detail: `shop: product detail, ${size("detail")}`,
    list: `shop: list of ten, ${size("list")}`,
  };
  const floor = await startHello(bodies, shop.nats);
  const from = (name: string, url: string, { pids }: { pids: readonly number[] }): Contender => ({
    name,
    pids,
    run: (seconds) => load({ url, connections: options.concurrency, seconds }),
  });
  try {
    const figures = await compare(
      [
        from(names.hello, `${floor.url}/hello`, floor),
        from(names.helloDetail, `${floor.url}/detail`, floor),
        from(names.detail, shop.url + paths.detail, shop),
        from(names.helloList, `${floor.url}/list`, floor),
        from(names.list, shop.url + paths.list, shop),
      ],
      options,
      say,
    );
    return resultOf(`${title}: cached reads, ${options.concurrency} connections`, figures, {
      [names.detail]: [names.hello, names.helloDetail],
      [names.list]: [names.hello, names.helloList],
    });
  } finally {
    floor.stop();
  }
}

/** Paid checkouts beside the SQL that they can't do without. */
export async function compareCheckouts(bench: Bench, title: string, shop: StockedShop): Promise<Result> {
  const { ground, options, say } = bench;
  const { buyers } = options;
  const next = await checkoutsOf(shop, buyers);
  const database = await ground.database(`floor_${title}`);
  await prepareSql(database);
  const [plain, prepared] = [await startSql(database, buyers, false), await startSql(database, buyers, true)];
  const names = { plain: "SQL", prepared: "SQL, prepared", shop: "shop: paid checkout" };
  try {
    const figures = await compare(
      [
        { name: names.plain, run: plain.run },
        { name: names.prepared, run: prepared.run },
        {
          name: names.shop,
          pids: shop.pids,
          run: (seconds) => load({ url: shop.url, connections: buyers, seconds, next }),
        },
      ],
      options,
      say,
    );
    return resultOf(`${title}: paid checkouts of two products, ${buyers} at once`, figures, {
      [names.shop]: [names.plain, names.prepared],
    });
  } finally {
    plain.stop();
    prepared.stop();
  }
}

/** Checkouts of new customers. */
async function checkoutsOf(shop: StockedShop, buyers: number): Promise<() => Request> {
  const users = await Promise.all(Array.from({ length: buyers }, () => givenUser(shop)));
  return checkouts(
    users.map(({ token }) => token),
    shop.products,
  );
}

/** Whether many connections are served at once. */
export async function manyConnections(
  { options, say }: Bench,
  title: string,
  shop: StockedShop,
): Promise<Result> {
  const { connections } = options;
  const [product = 0] = shop.products;
  const run = (seconds: number) => load({ url: `${shop.url}/api/products/${product}`, connections, seconds });
  const figures = await compare(
    [{ name: "shop: product detail", pids: shop.pids, run }],
    { ...options, rounds: 1 },
    say,
  );
  return resultOf(`${title}: ${connections} connections`, figures);
}

const WORDS = ["coffee", "knife", "lamp", "desk", "tea", "chair", "bag", "steel", "wood", "glass"];

/** Searches that nobody has made before, by clusters with one, two and three nodes of products. */
export async function compareProductNodes(bench: Bench, shops: readonly RunningShop[]): Promise<Result> {
  const { concurrency: connections } = bench.options;
  let count = 0;
  const next = (): Request => ({
    method: "GET",
    path: `/api/products?search=${WORDS[count % WORDS.length]}&limit=10&max_price=${(1_000 + count++ / 100).toFixed(2)}`,
    headers: {},
  });
  for (const shop of shops) await untilSeeded(shop);
  return await compareNodes(
    bench,
    "products",
    `searches without a cache, ${connections} connections`,
    shops.map((shop) => ({ shop, run: (seconds) => load({ url: shop.url, connections, seconds, next }) })),
  );
}

/** Paid checkouts, by clusters with one, two and three nodes of orders. */
export async function compareOrderNodes(bench: Bench, shops: readonly RunningShop[]): Promise<Result> {
  const { buyers } = bench.options;
  const sides: Side[] = [];
  for (const shop of shops) {
    await untilSeeded(shop);
    const next = await checkoutsOf(await stocked(shop), buyers);
    sides.push({
      shop,
      run: (seconds) => load({ url: shop.url, connections: buyers, seconds, next }),
    });
  }
  return await compareNodes(bench, "orders", `paid checkouts of two products, ${buyers} at once`, sides);
}

interface Side {
  shop: RunningShop;
  run: Contender["run"];
}

/** The same load on clusters with one, two and three nodes of a service, which take turns. */
async function compareNodes(
  { options, say }: Bench,
  service: string,
  title: string,
  sides: readonly Side[],
): Promise<Result> {
  const name = (nodes: number) => `${nodes} of ${service}`;
  const contenders = sides.map(({ shop: { pids }, run }, index) => ({ name: name(index + 1), pids, run }));
  const figures = await compare(contenders, options, say);
  return resultOf(`nodes: ${title}`, figures, { [name(2)]: [name(1)], [name(3)]: [name(1)] });
}

/** A JSON answer, through node's own client. */
async function read(url: string): Promise<object> {
  const text = await new Promise<string>((resolve, reject) => {
    get(url, { agent: false }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      answer.on("end", () => resolve(body));
    }).on("error", reject);
  });
  return JSON.parse(text);
}
