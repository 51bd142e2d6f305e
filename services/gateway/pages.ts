import type { ServiceBroker } from "moleculer";
import type { Config } from "../../lib/config.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { answerDocument } from "./answers.ts";
import { docsPages } from "./docs.ts";
import type { Page } from "./front.ts";
import { openApiDocument } from "./openapi.ts";

/** What the gateway answers beside the contracts' routes: the API's description, a page to try it, metrics. */
export function pagesOf(broker: ServiceBroker, config: Config): ReadonlyMap<string, Page> {
  const pages = new Map<string, Page>([
    ["/api/openapi.json", (req, res) => answerDocument(req, res, openApiDocument())],
    ...docsPages(),
  ]);
  if (config.embedded && config.METRICS_PORT === undefined) {
    pages.set("/metrics", async (_req, res) => {
      const text = await metricsOf(broker).text();
      res.writeHead(200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" }).end(text);
    });
  }
  return pages;
}
