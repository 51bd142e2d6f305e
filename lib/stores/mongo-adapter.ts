import { createRequire } from "node:module";
import type { ServiceBroker, Service as ServiceClass } from "moleculer";
import type { Connection, Model } from "mongoose";
import type { DocumentAdapter, DocumentQuery, DocumentUpdate, FindOptions } from "../moleculer-db.ts";
import { tracingOf } from "../tracing/tracing.ts";
import { untilReachable } from "./reachable.ts";

interface MongoOptions {
  url: string;
  /** The service's name is its collection's. */
  collection: string;
  /** Fields that queries select or sort by. */
  indexes: readonly string[];
  /** Connections at most. */
  pool: number;
}

/** moleculer-db's Mongoose adapter, as far as it stays as it is. (Its published types know documents of Mongoose's only.) */
interface StockAdapter<D> {
  broker: ServiceBroker;
  service: ServiceClass;
  model: Model<D>;
  conn: Connection;
  updateMany(query: DocumentQuery, update: DocumentUpdate<D>): Promise<number>;
  removeMany(query: DocumentQuery): Promise<number>;
}

const require = createRequire(import.meta.url);

/** MongoDB's own default would be a database named `test`. */
const NAMES_DATABASE = /^[^/]+\/\/[^/]+\/[^?]/;

/** Which database a URL means that names none. */
export function mongoOptions(url: string): { dbName?: string } {
  return NAMES_DATABASE.test(url) ? {} : { dbName: "molecart" };
}

/**
 * moleculer-db's Mongoose adapter for one collection of plain documents, on a connection and a model of its own: the
 * stock one has all services of a node share mongoose's global connection. Mongoose is loaded only where this is called.
 */
export function mongoAdapter<D extends { _id: string }>(options: MongoOptions): DocumentAdapter<D> {
  const { url, collection, indexes, pool } = options;
  const mongoose: typeof import("mongoose") = require("mongoose");
  const Stock: new (uri: string) => StockAdapter<D> = require("moleculer-db-adapter-mongoose");

  // The documents' shape is the service's TypeScript type, which the store takes as it is. With `strictQuery`, which
  // the stock adapter sets globally, conditions on fields that are not in the schema would silently be left out.
  const schema = new mongoose.Schema<D>(
    { _id: String },
    { collection, strict: false, strictQuery: false, versionKey: false, autoCreate: false, autoIndex: false },
  );
  for (const field of indexes) schema.index({ [field]: 1 });
  const connection = mongoose.createConnection();
  const model: Model<D> = connection.model<D>(collection, schema);

  class OwnConnection extends Stock implements DocumentAdapter<D> {
    override model = model;
    override conn = connection;

    init(broker: ServiceBroker, service: ServiceClass): void {
      this.broker = broker;
      this.service = service;
    }

    async connect(): Promise<void> {
      await untilReachable(this.broker, "mongodb", () => this.#open());
      if (tracingOf()) {
        const { traceMongo } = await import("../tracing/mongo.ts");
        traceMongo(connection.getClient());
      }
      await model.createIndexes();
    }

    async #open(): Promise<void> {
      await connection.openUri(url, {
        ...mongoOptions(url),
        bufferCommands: false,
        monitorCommands: tracingOf() !== undefined,
        maxPoolSize: pool,
        serverSelectionTimeoutMS: 2_000,
        connectTimeoutMS: 2_000,
        // A server that is frozen, or a connection that was cut without a word.
        socketTimeoutMS: 3_000,
        heartbeatFrequencyMS: 2_000,
      });
    }

    async disconnect(): Promise<void> {
      await connection.close();
    }

    async find({ query = {}, sort = [], limit = 0, offset = 0 }: FindOptions): Promise<D[]> {
      const found = model.find().where(query).skip(offset).limit(limit);
      if (sort.length > 0) found.sort(sort.join(" "));
      return await found.lean<D[]>().exec();
    }

    async count({ query = {} }: { query?: DocumentQuery }): Promise<number> {
      return await model.countDocuments().where(query).exec();
    }

    async findById(id: string): Promise<D | null> {
      return await model.findById(id).lean<D>().exec();
    }

    /** @throws MongoServerError 11000 if the id is there already */
    async insert(document: D): Promise<D> {
      await model.create([document]);
      return document;
    }
  }
  return new OwnConnection(url);
}
