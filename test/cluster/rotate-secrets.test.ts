import { expect, it } from "@jest/globals";
import jwt from "jsonwebtoken";
import { balanced } from "../helpers/balancer.ts";
import { givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { ClientLog, tell } from "../helpers/client-log.ts";
import { describeCluster } from "../helpers/cluster-suite.ts";
import { SECRETS } from "../helpers/env.ts";

/** New secrets for every node, by the rounds of restarts that docs/deployment.md describes, while customers are there. */

const SHOP = "gateway,auth,users,products,inventory,cart,orders,payments";
const LAYOUT = { one: SHOP, two: SHOP, back: "notifications,analytics" };

const OLD = { JWT_SECRET: SECRETS.JWT_SECRET, CLUSTER_SECRET: SECRETS.CLUSTER_SECRET };
const NEW = {
  JWT_SECRET: "another-secret-another-secret-another-0",
  CLUSTER_SECRET: "another-cluster-secret-another-cluster-0",
};
type Secrets = typeof OLD;
const both = (first: Secrets, second: Secrets): Secrets => ({
  JWT_SECRET: `${first.JWT_SECRET},${second.JWT_SECRET}`,
  CLUSTER_SECRET: `${first.CLUSTER_SECRET},${second.CLUSTER_SECRET}`,
});

describeCluster("JWT_SECRET and CLUSTER_SECRET, replaced", LAYOUT, {}, (cluster) => {
  const startAnew = async (secrets: Secrets) => {
    for (const name of cluster.names) {
      const node = cluster.node(name);
      await node.kill("SIGTERM");
      expect([name, await node.exited]).toEqual([name, 0]);
      await cluster.start(name, secrets);
    }
  };
  const login = async ({ email, password }: TestUser) =>
    (await send(cluster, "POST", "/api/auth/login", { email, password })).at("access_token");
  const profile = (token: string) => send(cluster, "GET", "/api/users/profile", undefined, { token });

  it("refuse no token and fail no request, until the old ones are taken away", async () => {
    const user = await givenUser(cluster);
    const buyer = await givenUser(cluster);
    const product = await givenProduct(cluster, cluster.admin, { stock_quantity: 10_000 });
    const log = new ClientLog(balanced(() => [cluster.node("one"), cluster.node("two")]));
    let isOver = false;
    const look = async () => {
      while (!isOver) {
        await log.ask("GET", "/api/users/profile", user);
        await log.ask("POST", "/api/auth/login", undefined, { email: user.email, password: user.password });
      }
    };
    const buy = async () => {
      while (!isOver) await log.order(buyer, [{ product_id: product, quantity: 1 }]);
    };
    const clients = [look(), buy()];
    await startAnew(both(OLD, NEW));
    const meanwhile = await login(user);
    expect(() => jwt.verify(String(meanwhile), OLD.JWT_SECRET)).not.toThrow();
    await startAnew(both(NEW, OLD));
    isOver = true;
    await Promise.all(clients);
    tell("two rounds of restarts with two secrets each", log);
    expect(log.failed("200")).toEqual([]);
    expect(log.entries.filter(({ said }) => said.join() !== "201")).toEqual([]);

    const later = String(await login(user));
    expect(() => jwt.verify(later, NEW.JWT_SECRET)).not.toThrow();
    expect((await profile(user.token)).status).toBe(200);

    await startAnew(NEW);
    expect((await profile(user.token)).status).toBe(401);
    expect((await profile(later)).status).toBe(200);
    const session = { refresh_token: user.refreshToken };
    expect((await send(cluster, "POST", "/api/auth/refresh", session)).status).toBe(200);
  }, 180_000);
});
