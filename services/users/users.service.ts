import { call } from "../../lib/call.ts";
import { principalOf } from "../../lib/meta.ts";
import { configOf } from "../../lib/runtime.ts";
import { type Ctx, defineService } from "../../lib/service.ts";
import { jobHandlers } from "../../mixins/job-handlers.ts";
import { jobs } from "../../mixins/jobs.ts";
import { sql } from "../../mixins/sql.ts";
import {
  type Accounts,
  checkPassword,
  createAccount,
  findUser,
  getUser,
  setPassword,
  updateAccount,
  updateProfile,
} from "./accounts.ts";
import { addAddress, listAddresses, removeAddress, updateAddress } from "./addresses.ts";
import { listUsers } from "./directory.ts";
import { migrations } from "./migrations/index.ts";
import { Passwords } from "./passwords.ts";
import { ensureAdmin, seedDemoUsers } from "./seed.ts";
import { usersContract } from "./users.contract.ts";
import { defineModels } from "./users.model.ts";

export default defineService(usersContract)({
  mixins: [sql("users", { models: defineModels, migrations }), jobs("users")],

  state() {
    return { passwords: new Passwords(), rules: configOf(this.broker).PASSWORD_REQUIRE };
  },

  actions: {
    ...jobHandlers,

    async profile(ctx) {
      return await profileOf(this, principalOf(ctx.meta).id);
    },

    async updateProfile(ctx) {
      const { id } = principalOf(ctx.meta);
      await updateProfile(this.models, id, ctx.params);
      return await profileOf(this, id);
    },

    async addresses(ctx) {
      return { addresses: await listAddresses(this.models, principalOf(ctx.meta).id) };
    },

    async addAddress(ctx) {
      return await addAddress(this, principalOf(ctx.meta).id, ctx.params);
    },

    async updateAddress(ctx) {
      const { id, ...changes } = ctx.params;
      return await updateAddress(this, principalOf(ctx.meta).id, id, changes);
    },

    async removeAddress(ctx) {
      await removeAddress(this, principalOf(ctx.meta).id, ctx.params.id);
      return null;
    },

    async list(ctx) {
      return await listUsers(this.db, ctx.params);
    },

    async get(ctx) {
      return await getUser(this.db, ctx.params.id);
    },

    async update(ctx) {
      const { id, ...changes } = ctx.params;
      return await updateAccount(this, endSessions(ctx), ctx.meta.user?.id, id, changes);
    },

    async create(ctx) {
      return await createAccount(this, this.publish, ctx.params);
    },

    async checkPassword(ctx) {
      return await checkPassword(this, ctx.params.email, ctx.params.password);
    },

    async setPassword(ctx) {
      await setPassword(this, endSessions(ctx), ctx.params.user_id, ctx.params.password);
      return null;
    },

    async find(ctx) {
      return await findUser(this.db, ctx.params);
    },

    async count() {
      return await this.models.main.count();
    },
  },

  async started() {
    const { ADMIN_EMAIL, ADMIN_PASSWORD, SEED } = configOf(this.broker);
    if (ADMIN_EMAIL !== "" && !(await ensureAdmin(this, ADMIN_EMAIL, ADMIN_PASSWORD))) {
      this.logger.warn("The account of ADMIN_EMAIL is not an active admin, and is left as it is");
    }
    if (SEED === "demo") await seedDemoUsers(this);
  },
});

async function profileOf({ db, models }: Pick<Accounts, "db" | "models">, id: string) {
  const [user, addresses] = await Promise.all([getUser(db, id), listAddresses(models, id)]);
  return { user, addresses };
}

const endSessions = (ctx: Ctx) => (userId: string) => call(ctx, "auth.endSessions", { user_id: userId });
