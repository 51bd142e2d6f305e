import { Errors, ServiceBroker } from "moleculer";
import type { ActionSpec, Contract } from "../../lib/contract.ts";
import { Forbidden } from "../../lib/errors.ts";
import type { Ctx } from "../../lib/service.ts";
import { contracts } from "../../services/contracts.ts";
import { type RestRoute, restRoutes } from "../../services/gateway/routes.ts";
import type { Client } from "../lib/client.ts";

/**
 * A broker without a cluster, in which every action of the shop stands for its REST route: what is called here is asked
 * of the gateway, in the name of the client's login. What has no route is refused, as it would be there.
 */
export function restBroker(client: Client): ServiceBroker {
  const broker = new ServiceBroker({
    nodeID: "repl",
    logger: false,
    validator: false,
    requestTimeout: 125_000,
  });
  for (const contract of contracts) broker.createService(standIn(contract, client));
  return broker;
}

function standIn({ name, actions }: Contract, client: Client) {
  const entries = Object.keys(actions).map((key) => {
    const route = restRoutes.find(({ action }) => action === `${name}.${key}`);
    const handler = async (ctx: Ctx<Record<string, unknown>>) => {
      if (!route) throw new Forbidden({});
      return await send(client, route, ctx);
    };
    return [key, { handler }];
  });
  return { name, actions: Object.fromEntries(entries) };
}

async function send(client: Client, route: RestRoute, ctx: Ctx<Record<string, unknown>>): Promise<unknown> {
  const { method, pathParams, spec } = route;
  if (spec.stream) {
    throw new Errors.MoleculerClientError(
      "This takes a stream: use `molecart products import` or `molecart stock import`.",
      400,
      "STREAM_NEEDED",
    );
  }
  const rest = Object.entries(ctx.params).filter(([key]) => !pathParams.includes(key));
  const path = pathOf(route, ctx.params);
  const response = await client.send(method, path, {
    headers: headersOf(ctx, spec),
    ...(method === "GET" || method === "DELETE"
      ? { query: Object.fromEntries(rest.map(([key, value]) => [key, String(value)])) }
      : { body: Object.fromEntries(rest) }),
  });
  const answer: unknown = response.status === 204 ? null : await response.json().catch(() => null);
  if (response.ok || typeof answer !== "object" || answer === null || !("code" in answer)) return answer;
  const { error, code, details }: Record<string, unknown> = { ...answer };
  throw new Errors.MoleculerError(String(error), response.status, String(code), details);
}

function pathOf({ path, pathParams }: RestRoute, params: Record<string, unknown>): string {
  return pathParams.reduce((made, name) => {
    if (params[name] === undefined) {
      throw new Errors.MoleculerClientError(`It needs --${name}.`, 422, "VALIDATION_ERROR");
    }
    return made.replace(`:${name}`, encodeURIComponent(String(params[name])));
  }, path);
}

function headersOf({ meta }: Ctx, spec: ActionSpec): Record<string, string> {
  return {
    ...(spec.idempotencyKey && meta.idempotencyKey ? { "idempotency-key": meta.idempotencyKey } : {}),
    ...(meta.cartToken ? { "x-cart-token": meta.cartToken } : {}),
  };
}
