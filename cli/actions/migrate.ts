import { SQL_SERVICES, type SqlService } from "../../lib/service-names.ts";
import { sequelizeOf } from "../../lib/stores/connect.ts";
import { Database } from "../../lib/stores/database.ts";
import { alone, appliedTo, type Migration, umzugOf } from "../../lib/stores/migrate.ts";
import { migrations } from "../../services/migrations.ts";
import { confirm } from "../lib/ask.ts";
import { CliError, EXIT, Misuse, messageOf } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { plural, table } from "../lib/output.ts";
import { openStores, type Stores, shopConnections } from "../lib/stores.ts";

export interface MigrateOptions {
  service?: string;
  json?: boolean;
  input?: boolean;
}
export interface MigrateChangeOptions extends MigrateOptions {
  to?: string;
  dryRun?: boolean;
  yes?: boolean;
}

/** One service's schema and what can be done to it. */
interface Place {
  service: SqlService;
  db: Database;
  known: readonly Migration[];
  /** As the database has them, oldest first. */
  applied: string[];
}

type Step = { service: SqlService; name: string };

/** Says what was applied and what is pending. @returns the exit code */
export async function migrateStatus(options: MigrateOptions, io: Io): Promise<number> {
  return await withPlaces(options, io, async (places) => {
    const all = places.flatMap(({ service, known, applied }) => [
      ...known.map(({ name }) => ({ service, name, state: applied.includes(name) ? "applied" : "pending" })),
      ...strangers({ known, applied }).map((name) => ({ service, name, state: "unknown" })),
    ]);
    if (options.json) io.printJson({ migrations: all });
    else {
      const rows = all.map((one) => [one.service, one.name, one.state]);
      io.printRows(table(["service", "migration", "state"], rows));
      const pending = all.filter(({ state }) => state === "pending").length;
      if (pending > 0)
        io.say(`${plural(pending, "migration")} pending: apply them with \`molecart migrate up\`.`);
      if (all.some(({ state }) => state === "unknown"))
        io.say("What is unknown was applied by a newer molecart.");
    }
    return EXIT.ok;
  });
}

/** Applies what is pending, up to `--to`. @returns the exit code */
export async function migrateUp(options: MigrateChangeOptions, io: Io): Promise<number> {
  return await withPlaces(options, io, async (places) => {
    const target = targetOf(places, options);
    const plan = (place: Place) => {
      const end =
        target === undefined ? place.known.length : place.known.findIndex(({ name }) => name === target) + 1;
      return place.known.slice(0, end).filter(({ name }) => !place.applied.includes(name));
    };
    return await change(places, options, io, {
      plan,
      verb: "apply",
      done: "applied",
      work: async ({ db, service, known }, names) => {
        await db.sequelize.query(`CREATE SCHEMA IF NOT EXISTS "${service}"`);
        await umzugOf(db, service, known, { waits: waits(io, service) }).up({ migrations: [...names] });
      },
    });
  });
}

/** Takes the newest migration of a service back, or all that came after `--to`. @returns the exit code */
export async function migrateDown(options: MigrateChangeOptions, io: Io): Promise<number> {
  if (!options.service)
    throw new Misuse("Which service's?", "Say it with --service: one at a time is taken back.");
  return await withPlaces(options, io, async (places, stores) => {
    const target = options.to === "0" ? undefined : targetOf(places, options);
    const plan = (place: Place) => {
      const applied = place.known.filter(({ name }) => place.applied.includes(name)).reverse();
      if (options.to === undefined) return applied.slice(0, 1);
      const end = target === undefined ? applied.length : applied.findIndex(({ name }) => name === target);
      if (end === -1)
        throw new CliError(`${target} is not applied.`, { next: "See `molecart migrate status`." });
      return applied.slice(0, end);
    };
    for (const place of places) {
      const [stranger] = strangers(place);
      if (stranger === undefined) continue;
      throw new CliError(
        `${place.service} has ${stranger}, which this molecart doesn't know: it can't take back what came before.`,
        {
          next: "Use the molecart that applied it.",
        },
      );
    }
    const steps = places.flatMap(plan);
    if (steps.length > 0 && !options.dryRun) {
      const nodes = await shopConnections(stores.databases);
      const running = nodes > 0 ? " A shop is running on it, and would miss them." : "";
      const names = steps.map(({ name }) => name).join(", ");
      await confirm(
        io,
        `Take back ${names} of ${options.service}? What stands in its tables and columns is lost.${running}`,
        options,
      );
    }
    return await change(places, options, io, {
      plan,
      verb: "take back",
      done: "taken back",
      work: async ({ db, service, known }, names) => {
        await umzugOf(db, service, known, { waits: waits(io, service) }).down({ migrations: [...names] });
      },
    });
  });
}

interface Change {
  plan: (place: Place) => readonly Migration[];
  verb: string;
  done: string;
  work: (place: Place, names: readonly string[]) => Promise<void>;
}

/** Plans again under the lock that nodes migrate under, and does it. */
async function change(
  places: readonly Place[],
  options: MigrateChangeOptions,
  io: Io,
  todo: Change,
): Promise<number> {
  const steps: Step[] = [];
  for (const place of places) {
    const { service, db } = place;
    const stepsOf = () => todo.plan(place).map(({ name }) => ({ service, name }));
    if (options.dryRun) {
      steps.push(...stepsOf());
      continue;
    }
    await alone(db, async () => {
      place.applied = await appliedTo(db, service);
      const planned = stepsOf();
      for (const step of planned) {
        await todo.work(place, [step.name]).catch((error: unknown) => {
          const cause = Object(error).cause;
          throw new CliError(
            `${service} ${step.name} could not be ${todo.done}: ${messageOf(cause ?? error)}.`,
            {
              next: "That migration changed nothing; those told before it stay. See `molecart migrate status`.",
            },
          );
        });
        steps.push(step);
        if (!options.json) io.print(`${service} ${step.name} ${todo.done}`);
      }
    });
  }
  if (options.json) io.printJson({ ...(options.dryRun ? { dry_run: true } : {}), migrations: steps });
  else if (options.dryRun)
    for (const { service, name } of steps) io.print(`Would ${todo.verb} ${service} ${name}.`);
  if (steps.length === 0) io.say("There is nothing to do.");
  return EXIT.ok;
}

const waits = (io: Io, service: SqlService) => (name: string) =>
  io.say(`A table is busy, with a backup perhaps: ${service} ${name} waits.`);

const strangers = ({ known, applied }: Pick<Place, "known" | "applied">) =>
  applied.filter((name) => !known.some((one) => one.name === name));

/** @throws Misuse if no migration, or of several services, has that name */
function targetOf(places: readonly Place[], { to, service }: MigrateChangeOptions): string | undefined {
  if (to === undefined) return undefined;
  if (!service) throw new Misuse("--to names a migration of one service.", "Say whose with --service.");
  const names = places.flatMap(({ known }) => known.map(({ name }) => name));
  if (!names.includes(to))
    throw new Misuse(`${service} has no migration ${to}.`, `It has ${names.join(", ")}.`);
  return to;
}

async function withPlaces(
  { service: wanted }: MigrateOptions,
  io: Io,
  work: (places: Place[], stores: Stores) => Promise<number>,
): Promise<number> {
  const services = SQL_SERVICES.filter((service) => wanted === undefined || service === wanted);
  if (services.length === 0)
    throw new Misuse(`${wanted} has no schema.`, `There are ${SQL_SERVICES.join(", ")}.`);
  const stores = await openStores(io.env, { how: "beside" });
  const open: Database[] = [];
  try {
    const places: Place[] = [];
    for (const service of services) {
      // One for the lock, one for the migration.
      const db = new Database(
        sequelizeOf(
          stores.config.databaseUrl(service),
          { DATABASE_POOL: 2, DATABASE_TIMEOUT: 0 },
          "molecart-cli",
        ),
      );
      open.push(db);
      places.push({ service, db, known: migrations[service], applied: await appliedTo(db, service) });
    }
    return await work(places, stores);
  } finally {
    await Promise.all(open.map(({ sequelize }) => sequelize.close()));
    await stores.close();
  }
}
