import { Client } from "pg";

/**
 * Keeps the jobs that are put in from now on, which are gone once they are done: as rows of the table `kept_jobs`, with the
 * columns of pg-boss's. One that is tried again is kept once.
 */
export async function keepJobs(databaseUrl: string): Promise<void> {
  const db = new Client({ connectionString: databaseUrl });
  await db.connect();
  try {
    await db.query(`
      CREATE TABLE kept_jobs (id uuid PRIMARY KEY, name text, data jsonb, created_on timestamptz);
      CREATE FUNCTION keep_job() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          INSERT INTO public.kept_jobs VALUES (NEW.id, NEW.name, NEW.data, NEW.created_on) ON CONFLICT DO NOTHING;
          RETURN NULL;
        END $$;
      CREATE TRIGGER keep_job AFTER INSERT ON pgboss.job FOR EACH ROW EXECUTE FUNCTION keep_job();
    `);
  } finally {
    await db.end();
  }
}
