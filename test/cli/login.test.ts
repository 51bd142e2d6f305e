import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { login, logout, whoami } from "../../cli/actions/login.ts";
import { Profiles } from "../../cli/lib/profiles.ts";
import { findShop } from "../../cli/lib/session.ts";
import { molecart } from "../helpers/cli.ts";
import { send } from "../helpers/client.ts";
import { ADMIN, SECRETS } from "../helpers/env.ts";
import { type Shop, startShop } from "../helpers/shop.ts";
import { act, adminOf, withDirectory } from "./support.ts";

let shop: Shop;
/** Its access tokens are over as soon as they are given, as the CLI sees it: it renews them half a minute early. */
let hasty: Shop;
beforeAll(async () => {
  [shop, hasty] = await Promise.all([startShop(), startShop({ env: { JWT_EXPIRES_IN: "20" } })]);
});
afterAll(async () => {
  await Promise.all([shop?.stop(), hasty?.stop()]);
});

const logInTo = (of: Shop, config: string, profile?: string) =>
  act((io) => login({ url: of.url, profile, email: ADMIN.email, passwordStdin: true }, io), {
    env: { XDG_CONFIG_HOME: config },
    input: `${ADMIN.password}\n`,
  });

describe("molecart login", () => {
  it("keeps the tokens under a name, for nobody else to read, and never the password", async () => {
    await withDirectory(async (config) => {
      const done = await logInTo(shop, config, "work");
      expect(done).toMatchObject({ code: 0, stderr: "" });
      expect(done.stdout).toContain("as admin@molecart.local (admin), kept as the profile work.");
      const path = join(config, "molecart", "profiles.json");
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      expect((await stat(join(config, "molecart"))).mode & 0o777).toBe(0o700);
      expect(await readFile(path, "utf8")).not.toContain(ADMIN.password);
      const who = await act((io) => whoami({ json: true }, io), { env: { XDG_CONFIG_HOME: config } });
      expect(who.json()).toMatchObject({ url: shop.url, profile: "work", email: ADMIN.email, role: "admin" });
    });
  });

  it("takes the credentials of the environment", async () => {
    await withDirectory(async (config) => {
      const env = { ...adminOf(shop), XDG_CONFIG_HOME: config };
      expect(await act((io) => login({}, io), { env })).toMatchObject({ code: 0 });
      expect((await new Profiles(env).read()).current).toBe("default");
    });
  });

  it("takes those of an embedded shop on this machine, and sends them nowhere else", async () => {
    await withDirectory(async (data) => {
      await writeFile(join(data, "secrets.json"), JSON.stringify(SECRETS));
      const env = { DATA_DIR: data, XDG_CONFIG_HOME: join(data, "config") };
      expect(await act((io) => whoami({ url: shop.url }, io), { env })).toMatchObject({ code: 0 });
      const { port } = new URL(shop.url);
      // The same server by a name that is not this machine's.
      const other = await act((io) => whoami({ url: `http://0.0.0.0:${port}` }, io), { env });
      expect(other).toMatchObject({ code: 4, stdout: "" });
      expect(other.stderr).toContain("You are not logged in");
    });
  });

  it("asks nobody where nobody is, and says so", async () => {
    const run = await act((io) => login({ url: shop.url, email: ADMIN.email }, io));
    expect(run).toMatchObject({ code: 2, stdout: "" });
    expect(run.stderr).toContain("--password-stdin");
  });

  it("fails with 4 for a wrong password, and keeps nothing", async () => {
    await withDirectory(async (config) => {
      const env = { XDG_CONFIG_HOME: config };
      const options = { url: shop.url, email: ADMIN.email, passwordStdin: true };
      const run = await act((io) => login(options, io), { env, input: "wrong" });
      expect(run).toMatchObject({ code: 4, stdout: "" });
      expect(await new Profiles(env).read()).toEqual({ current: null, profiles: {} });
    });
  });
});

describe("a profile", () => {
  it("is renewed when its token ends, by one of many commands at a time", async () => {
    await withDirectory(async (config) => {
      await logInTo(hasty, config);
      const env = { XDG_CONFIG_HOME: config };
      const before = (await new Profiles(env).read()).profiles.default;
      const runs = await Promise.all(
        Array.from({ length: 6 }, () => molecart(["whoami", "--json"], { XDG_CONFIG_HOME: config })),
      );
      expect(runs.map(({ code, stderr }) => [code, stderr])).toEqual(runs.map(() => [0, ""]));
      const after = (await new Profiles(env).read()).profiles.default;
      expect(after?.refresh_token).not.toBe(before?.refresh_token);
      expect((await stat(new Profiles(env).path)).mode & 0o777).toBe(0o600);
    });
  });

  it("that has ended in the shop is told with what to do", async () => {
    await withDirectory(async (config) => {
      await logInTo(hasty, config);
      const env = { XDG_CONFIG_HOME: config };
      await new Profiles(env).change(async (file) => {
        const profile = file.profiles.default;
        if (profile) profile.refresh_token = "spent";
      });
      const run = await act((io) => whoami({}, io), { env });
      expect(run).toMatchObject({ code: 4, stdout: "" });
      expect(run.stderr).toContain("molecart login --profile default");
    });
  });

  it("whose session was ended in the shop is told with its name", async () => {
    await withDirectory(async (config) => {
      await logInTo(shop, config, "work");
      const env = { XDG_CONFIG_HOME: config };
      const access_token = (await new Profiles(env).read()).profiles.work?.access_token;
      await send(shop, "POST", "/api/auth/logout", undefined, { token: access_token ?? "" });
      expect(await act((io) => whoami({ profile: "work" }, io), { env })).toMatchObject({
        code: 4,
        stdout: "",
        stderr:
          "The login of the profile work has ended.\nLog in again with `molecart login --profile work`.\n",
      });
    });
  });

  it("gives its token to its own shop alone", async () => {
    await withDirectory(async (config) => {
      await logInTo(shop, config, "work");
      const env = { XDG_CONFIG_HOME: config };
      const named = await act((io) => whoami({ profile: "work", url: hasty.url }, io), { env });
      expect(named).toMatchObject({ code: 2 });
      const unnamed = await molecart(["whoami", "--url", hasty.url], { ...env, DATA_DIR: config });
      expect(unnamed).toMatchObject({ code: 4 });
    });
  });

  it.each(["toString", "__proto__"])("named %s is none that is there by itself", async (profile) => {
    const env = { MOLECART_URL: shop.url };
    expect(await act((io) => whoami({ profile }, io), { env })).toMatchObject({
      code: 2,
      stderr: `There is no profile ${profile}.\nMake it with \`molecart login --profile ${profile}\`.\n`,
    });
    expect(await act((io) => logout({ profile }, io), { env })).toMatchObject({ code: 4 });
  });

  it("is found by --url, --profile, MOLECART_PROFILE, MOLECART_URL, the last login, PORT, in this order", async () => {
    await withDirectory(async (config) => {
      const env = { XDG_CONFIG_HOME: config };
      expect((await findShop({}, { ...env, PORT: "1234" })).url).toBe("http://127.0.0.1:1234");
      await logInTo(hasty, config, "other");
      await logInTo(shop, config, "work");
      const urls = await Promise.all([
        findShop({ url: "http://a.example" }, { ...env, MOLECART_URL: "http://b.example" }),
        findShop({ profile: "other" }, { ...env, MOLECART_URL: "http://b.example" }),
        findShop({}, { ...env, MOLECART_PROFILE: "other", MOLECART_URL: "http://b.example" }),
        findShop({}, { ...env, MOLECART_URL: "http://b.example" }),
        findShop({}, { ...env, PORT: "1234" }),
      ]);
      expect(urls.map(({ url }) => url)).toEqual([
        "http://a.example",
        hasty.url,
        hasty.url,
        "http://b.example",
        shop.url,
      ]);
      await expect(findShop({ profile: "none" }, env)).rejects.toThrow("There is no profile none.");
    });
  });

  it("whose file is broken is told of, and not overwritten", async () => {
    await withDirectory(async (config) => {
      await logInTo(shop, config);
      const { path } = new Profiles({ XDG_CONFIG_HOME: config });
      await writeFile(path, "{");
      const run = await act((io) => whoami({}, io), { env: { XDG_CONFIG_HOME: config } });
      expect(run).toMatchObject({ code: 1 });
      expect(run.stderr).toContain("is no file of molecart's profiles");
      expect(await readFile(path, "utf8")).toBe("{");
    });
  });
});

it("a login that can't be kept is told with what to do", async () => {
  await withDirectory(async (config) => {
    const file = join(config, "file");
    await writeFile(file, "");
    expect(await logInTo(shop, file)).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(
        /^.*profiles\.json can't be written \(ENOTDIR\)\.\nSet XDG_CONFIG_HOME to .*\n$/,
      ),
    });
  });
});

describe("molecart logout", () => {
  it("ends the session in the shop and forgets it here", async () => {
    await withDirectory(async (config) => {
      const env = { XDG_CONFIG_HOME: config };
      await logInTo(shop, config);
      const token = (await new Profiles(env).read()).profiles.default?.access_token ?? "";
      expect(await act((io) => logout({}, io), { env })).toMatchObject({ code: 0, stderr: "" });
      expect(await new Profiles(env).read()).toEqual({ current: null, profiles: {} });
      const answer = await fetch(`${shop.url}/api/auth/verify`, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(answer.status).toBe(401);
      expect(await act((io) => logout({}, io), { env })).toMatchObject({ code: 4 });
    });
  });
});

describe("a command that logs in by itself", () => {
  it("leaves no session behind", async () => {
    const seen: string[] = [];
    const original = globalThis.fetch;
    globalThis.fetch = (input, init) => {
      const token = new Headers(init?.headers).get("authorization");
      if (token) seen.push(token);
      return original(input, init);
    };
    try {
      expect(await act((io) => whoami({}, io), { env: adminOf(shop) })).toMatchObject({ code: 0 });
    } finally {
      globalThis.fetch = original;
    }
    const [authorization = ""] = seen;
    expect(authorization).toMatch(/^Bearer /);
    const answer = await fetch(`${shop.url}/api/auth/verify`, { headers: { authorization } });
    expect(answer.status).toBe(401);
  });
});
