import { createClient } from "../lib/client.ts";
import { Misuse } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { findShop, openSession, type ShopOptions } from "../lib/session.ts";
import { GUEST, logIn } from "../repl/identity.ts";
import { joinCluster, othersOf } from "../repl/join.ts";
import { ownEnv, runRepl } from "../repl/repl.ts";
import { restBroker } from "../repl/rest-broker.ts";

export interface ReplOptions extends ShopOptions {
  /** Its servers, or true for NATS_URL. */
  nats?: string | boolean;
  guest?: boolean;
  json?: boolean;
  input?: boolean;
}

const HINT = "help lists what there is, exit leaves.";

/** Opens a REPL on a shop: as a node of its cluster, or over its REST API. @returns the exit code */
export async function repl(options: ReplOptions, io: Io): Promise<number> {
  return options.nats === undefined || options.nats === false
    ? await overRest(options, io)
    : await asNode(options, options.nats, io);
}

async function overRest(options: ReplOptions, io: Io): Promise<number> {
  const { url } = await findShop(options, io.env);
  const session = options.guest ? undefined : await openSession(options, io);
  const client = session?.client ?? createClient(url, { signal: io.signal });
  if (!session) await client.reach();
  const broker = restBroker(client);
  await broker.start();
  // Who calls is in the client's token: the gateway sees to it.
  const says = session ? session.email : GUEST.says;
  try {
    io.say(`Over REST at ${url}, as ${says}.\n${HINT}`);
    return await runRepl(
      {
        broker,
        identify: async () => ({}),
        says,
        reach: "rest",
        isAdmin: false,
        env: ownEnv(url, options, io.env),
        json: options.json === true,
      },
      io,
    );
  } finally {
    await broker.stop();
    await session?.close();
  }
}

async function asNode(options: ReplOptions, nats: string | true, io: Io): Promise<number> {
  const servers = nats === true ? io.env.NATS_URL : nats;
  if (!servers) {
    throw new Misuse(
      "--nats needs to know where.",
      "Say it, as in --nats nats://127.0.0.1:4222, or set NATS_URL.",
    );
  }
  const { url } = await findShop(options, io.env);
  const identity = options.guest ? GUEST : await logIn(options, io);
  try {
    const broker = await joinCluster(servers, io.env);
    try {
      const others = othersOf(broker);
      const nodes = others === 1 ? "1 node" : `${others} nodes`;
      io.say(`${broker.nodeID} has joined ${nodes}, as ${identity.says}.\n${HINT}`);
      const { says, isAdmin } = identity;
      const identify = async () => {
        const accessToken = await identity.token();
        return accessToken === null ? {} : { accessToken };
      };
      return await runRepl(
        {
          broker,
          identify,
          says,
          reach: "nats",
          isAdmin,
          env: ownEnv(url, options, io.env),
          json: options.json === true,
        },
        io,
      );
    } finally {
      await broker.stop();
    }
  } finally {
    await identity.close();
  }
}
