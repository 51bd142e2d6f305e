import { createRequire } from "node:module";
import { resolve } from "node:path";
import type { Resource, Value } from "./kustomize.ts";

const require = createRequire(import.meta.url);
const ROOT = resolve(import.meta.dirname, "../..");

/** The published schema's check for each kind of object that k8s/ uses. */
async function schemaOf({ apiVersion, kind }: Resource): Promise<(data: unknown) => boolean> {
  const [group = "", version] = apiVersion.includes("/") ? apiVersion.split("/") : ["core", apiVersion];
  const part = (text = "") => text.charAt(0).toUpperCase() + text.slice(1);
  const name = `IoK8sApi${part(group.split(".")[0])}${part(version)}${kind}`;
  // The package exports its models, not the plain schemas under them.
  const { validate } = require(resolve(ROOT, "node_modules/kubernetes-models/_schemas", `${name}.js`));
  return validate;
}

/** A copy that notes which fields were looked at: a check looks at all that it knows, so the others are misspelt. */
function watched(value: Value, path: string, unread: Set<string>): Value {
  if (typeof value !== "object" || value === null) return value;
  const copy: Value = Array.isArray(value) ? [] : {};
  for (const [key, item] of Object.entries(value)) {
    unread.add(`${path}/${key}`);
    Reflect.set(copy, key, watched(item, `${path}/${key}`, unread));
  }
  return new Proxy(copy, {
    get(target, key) {
      unread.delete(`${path}/${String(key)}`);
      return Reflect.get(target, key);
    },
  });
}

/** What Kubernetes' published schemas have against an object: errors, and fields that they don't know. */
export async function faultsOf(resource: Resource): Promise<string[]> {
  const unread = new Set<string>();
  const validate = await schemaOf(resource);
  const errors = validate(watched(resource, "", unread))
    ? []
    : [JSON.stringify(Reflect.get(validate, "errors"))];
  return [...errors, ...[...unread].map((path) => `${path} is unknown`)];
}
