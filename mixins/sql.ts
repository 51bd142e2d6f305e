import SequelizeAdapter from "moleculer-db-adapter-sequelize";
import type { Model, ModelStatic, Sequelize } from "sequelize";
import type { Config } from "../lib/config.ts";
import { addCheck } from "../lib/health.ts";
import { DbService } from "../lib/moleculer-db.ts";
import { configOf } from "../lib/runtime.ts";
import type { Mixin } from "../lib/service.ts";
import type { SqlService } from "../lib/service-names.ts";
import { sequelizeOf } from "../lib/stores/connect.ts";
import { Database } from "../lib/stores/database.ts";
import { type MigrateOptions, type Migration, migrate } from "../lib/stores/migrate.ts";
import { pingerOf } from "../lib/stores/pinger.ts";
import { untilReachable } from "../lib/stores/reachable.ts";
import { NO_ACTIONS } from "./no-actions.ts";

export interface SqlThis<M> {
  /** The service's own database, connected and migrated before `started` runs. */
  readonly db: Database;
  /** Its Sequelize models. */
  readonly models: M;
}

interface SqlOptions<M> {
  /** Defines the service's models in its schema; `main` is the one moleculer-db's own methods work on. */
  models: (sequelize: Sequelize) => M;
  migrations: readonly Migration[];
}

/**
 * A Postgres schema named after the service, through moleculer-db's Sequelize adapter. Migrations, not `sync()`, make
 * its tables.
 */
export function sql<M extends { main: ModelStatic<Model> }>(
  name: SqlService,
  options: SqlOptions<M>,
): Mixin<SqlThis<M>> {
  return {
    build(broker) {
      const config = configOf(broker);
      const url = config.databaseUrl(name);
      const sequelize = sequelizeOf(url, config);
      const db = new Database(sequelize);
      const models = options.models(sequelize);
      return {
        mixins: [DbService],
        actions: NO_ACTIONS,
        // Set after Moleculer has merged the mixins, because merging deep-clones what it finds.
        merged(schema: { adapter?: unknown; model?: unknown; started?: unknown }) {
          schema.adapter = new SequelizeAdapter(sequelize);
          schema.model = models.main;
          // Before anything else of the service starts: jobs would give up at once.
          const wait = () => untilReachable(broker, "database", () => pingerOf(broker, url).ping());
          schema.started = [wait, schema.started].flat();
        },
        created() {
          Object.assign(this, { db, models });
          addCheck(broker, name, "database", "postgres", () => pingerOf(broker, url).ping());
        },
        async started() {
          if (config.MIGRATE !== "auto") return;
          const waits = (migration: string) =>
            broker.logger.warn("A migration waits for a busy table", { service: name, migration });
          await migrateApart(config, name, options.migrations, { waits });
        },
      };
    },
  };
}

/** On a connection of its own, which no limit of time ends: a migration takes as long as it takes. */
async function migrateApart(
  config: Config,
  name: SqlService,
  migrations: readonly Migration[],
  options: MigrateOptions,
): Promise<void> {
  const sequelize = sequelizeOf(config.databaseUrl(name), { DATABASE_POOL: 2, DATABASE_TIMEOUT: 0 });
  try {
    await migrate(new Database(sequelize), name, migrations, options);
  } finally {
    await sequelize.close();
  }
}
