import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { Middleware } from "moleculer";
import type { Config } from "./config.ts";
import { notReady } from "./health.ts";
import { metricsOf } from "./metrics.ts";

interface Answer {
  status: number;
  type: string;
  body: string;
}
type Page = () => Answer | Promise<Answer>;

const json = (status: number, body: object): Answer => ({
  status,
  type: "application/json; charset=utf-8",
  body: JSON.stringify(body),
});

export interface Probes {
  /** Opens them, before the node looks for its servers: one that waits for those is alive and not ready. */
  middleware: Middleware;
  /** For when the last store has closed: until then the node says that it is stopping. */
  close: () => void;
}

/**
 * What every node answers about itself, with or without the gateway: `/health/live` and `/health/ready` on
 * `HEALTH_PORT`, `/metrics` on `METRICS_PORT` (both may be one).
 */
export function probesOf({ HEALTH_PORT, METRICS_PORT, HOST }: Config): Probes {
  const servers: Server[] = [];
  const middleware: Middleware = {
    name: "Probes",
    async starting(broker) {
      const pages = new Map<number, Map<string, Page>>();
      const serve = (port: number | undefined, path: string, page: Page) => {
        if (port !== undefined) pages.set(port, (pages.get(port) ?? new Map<string, Page>()).set(path, page));
      };
      serve(HEALTH_PORT, "/health/live", () => json(200, { status: "alive" }));
      serve(HEALTH_PORT, "/health/ready", async () => {
        const failing = await notReady(broker);
        const isReady = failing.length === 0;
        return json(isReady ? 200 : 503, { status: isReady ? "ready" : "not ready", failing });
      });
      serve(METRICS_PORT, "/metrics", async () => ({
        status: 200,
        type: "text/plain; version=0.0.4; charset=utf-8",
        body: await metricsOf(broker).text(),
      }));
      for (const [port, own] of pages) servers.push(await listen(port, HOST, own));
    },
  };
  return {
    middleware,
    close() {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

async function listen(port: number, host: string, pages: ReadonlyMap<string, Page>): Promise<Server> {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 5_000 }, async (req, res) => {
    const page = req.method === "GET" ? pages.get(req.url?.split("?", 1)[0] ?? "") : undefined;
    const { status, type, body } = page ? await page() : json(404, { status: "There is nothing here." });
    res.writeHead(status, { "Content-Type": type, "Cache-Control": "no-store" }).end(body);
  });
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    throw new Error(`Can't listen at HOST ${host}, port ${port} (HEALTH_PORT, METRICS_PORT)`, {
      cause: error,
    });
  }
  return server;
}
