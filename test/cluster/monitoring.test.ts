import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { adminToken, eventually, givenProduct, givenUser, send } from "../helpers/client.ts";
import { type Cluster, startCluster } from "../helpers/cluster.ts";
import { askPrometheus, metricsIn, panelExpressions, RULES, ruleExpressions } from "../helpers/monitoring.ts";
import { freePort } from "../helpers/node-process.ts";
import { havePromtool } from "../helpers/promtool.ts";
import { haveServers, startServer } from "../helpers/servers.ts";

/** What dashboards and alerts ask, of a cluster that runs. */

const LAYOUT = {
  front: "gateway,auth,users,cart,products",
  back: "inventory,orders,payments,notifications,analytics",
};
const asked = [...panelExpressions(), ...ruleExpressions()];
const names = [...new Set(asked.flatMap(({ expr }) => metricsIn(expr)))];

/** Debian's package of promtool has both. */
const havePrometheus = () => havePromtool() && spawnSync("prometheus", ["--version"]).status === 0;

(haveServers("nats") ? describe : describe.skip)("NATS", () => {
  it("has the figures that are asked for: its exporter names them after these", async () => {
    const port = await freePort();
    const nats = await startServer("nats", ["-m", String(port)]);
    try {
      const figures = await (await fetch(`http://127.0.0.1:${port}/varz`)).json();
      const varz = names.filter((name) => name.startsWith("gnatsd_varz_"));
      expect(varz.length).toBeGreaterThan(5);
      for (const name of varz)
        expect(figures).toMatchObject({ [name.replace("gnatsd_varz_", "")]: expect.any(Number) });
      expect(await (await fetch(`http://127.0.0.1:${port}/healthz`)).json()).toEqual({ status: "ok" });
    } finally {
      await nats.remove();
    }
  });
});

(haveServers("nats") && havePrometheus() ? describe : describe.skip)(
  "a cluster that Prometheus watches",
  () => {
    let cluster: Cluster;
    let prometheus: ChildProcess;
    let directory: string;
    let url: string;
    const series = async (expr: string) => (await askPrometheus(url, expr)).series;

    beforeAll(async () => {
      // Nodes of tests leave out the figures of their process.
      cluster = await startCluster(LAYOUT, { env: { NODE_ENV: "production" } });
      const user = await givenUser(cluster);
      const product_id = await givenProduct(cluster, await adminToken(cluster), { stock_quantity: 5 });
      const body = {
        items: [{ product_id, quantity: 1 }],
        shipping_address: "12 Analytical Row",
        payment_method: "pm_card_visa",
      };
      expect((await send(cluster, "POST", "/api/orders", body, user)).status).toBe(201);
      expect((await send(cluster, "GET", "/api/products/999999")).status).toBe(404);

      directory = await mkdtemp(join(tmpdir(), "molecart-prometheus-"));
      const targets = Object.keys(LAYOUT).map((name) => ({
        targets: [new URL(cluster.probe(name)).host],
        labels: { component: name },
      }));
      // YAML takes JSON.
      const config = {
        global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
        rule_files: [join(RULES, "*.yml")],
        scrape_configs: [{ job_name: "molecart", static_configs: targets }],
      };
      await writeFile(join(directory, "prometheus.yml"), JSON.stringify(config));
      const address = `127.0.0.1:${await freePort()}`;
      url = `http://${address}`;
      const flags = [
        `--config.file=${directory}/prometheus.yml`,
        `--storage.tsdb.path=${directory}/data`,
        `--web.listen-address=${address}`,
      ];
      prometheus = spawn("prometheus", flags, { stdio: "ignore" });
      await eventually(
        async () => (await fetch(`${url}/-/ready`).catch(() => undefined))?.status === 200,
        20_000,
      );
      await eventually(async () => (await series('up{job="molecart"} == 1')) === 2, 20_000);
    }, 120_000);
    afterAll(async () => {
      if (prometheus?.exitCode === null) {
        prometheus.kill();
        await once(prometheus, "exit");
      }
      await cluster?.stop();
      if (directory) await rm(directory, { recursive: true, force: true });
    }, 60_000);

    it("tells every metric of its nodes that is asked for", async () => {
      const ours = names.filter((name) => !name.startsWith("gnatsd_"));
      const unknown = async () => {
        const known = await Promise.all(ours.map((name) => series(name)));
        return ours.filter((_name, index) => known[index] === 0);
      };
      await eventually(async () => (await unknown()).length === 0).catch(() => undefined);
      expect(await unknown()).toEqual([]);
    });

    it("is asked nothing that Prometheus refuses", async () => {
      const answers = await Promise.all(
        asked.map(async ({ where, expr }) => ({ where, error: (await askPrometheus(url, expr)).error })),
      );
      expect(answers.filter(({ error }) => error !== undefined)).toEqual([]);
    });

    it("alerts when its nodes lose NATS, until they have it again", async () => {
      const pending = 'ALERTS{alertname="MolecartStoreDown",store="nats"}';
      expect(await series(pending)).toBe(0);
      await cluster.nats.stop();
      await eventually(async () => (await series(pending)) === 1, 20_000);
      await cluster.nats.start();
      await eventually(async () => (await series(pending)) === 0, 20_000);
    });
  },
);
