import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";

/** What YAML says. */
export type Value = null | boolean | number | string | Value[] | { [key: string]: Value };
export type Fields = { [key: string]: Value };

/** A Kubernetes object. */
export interface Resource extends Fields {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels: { [key: string]: string } };
}

/** What k8s/ uses of kustomize. Anything else is refused, rather than overlooked. */
const KNOWN = new Set([
  "apiVersion",
  "kind",
  "namespace",
  "labels",
  "resources",
  "patches",
  "configMapGenerator",
  "images",
]);

/** Lists that a patch merges item by item, and by what it knows an item; other lists it replaces. */
const KEYS = new Map([
  ["containers", "name"],
  ["initContainers", "name"],
  ["env", "name"],
  ["volumes", "name"],
  ["ports", "containerPort"],
  ["volumeMounts", "mountPath"],
]);

/**
 * The objects of a kustomization with its patches applied, as `kubectl kustomize` gives them but for what it generates
 * (ConfigMaps) and rewrites everywhere (namespace, labels, images): the tests need neither kubectl nor a network.
 */
export function build(directory: string): Resource[] {
  const kustomization = fields(parse(readFileSync(join(directory, "kustomization.yaml"), "utf8")));
  for (const field of Object.keys(kustomization))
    if (!KNOWN.has(field)) throw new Error(`${directory}: the tests don't know kustomize's ${field}`);
  const resources = list(kustomization.resources).flatMap((entry) => {
    const path = join(directory, String(entry));
    return statSync(path).isDirectory() ? build(path) : documents(path);
  });
  for (const entry of list(kustomization.patches)) {
    const { path, target } = fields(entry);
    const [patch] = documents(join(directory, String(path)));
    if (!patch) throw new Error(`${path} is empty`);
    const isMeant = selector(target === undefined ? patch : fields(target), patch);
    const chosen = resources.filter(isMeant);
    if (chosen.length === 0) throw new Error(`${directory}: the patch ${path} meets nothing`);
    const { kind: _kind, apiVersion: _apiVersion, metadata: _metadata, ...changes } = patch;
    for (const resource of chosen) Object.assign(resource, merge(resource, changes));
  }
  return resources;
}

/** Whom a patch is for: those of its target, else the one it names. */
function selector(target: Fields, patch: Resource): (resource: Resource) => boolean {
  if (target === patch)
    return ({ kind, metadata }) => kind === patch.kind && metadata.name === patch.metadata.name;
  const { kind, name, labelSelector, ...rest } = target;
  if (Object.keys(rest).length > 0) throw new Error(`the tests don't know a target's ${Object.keys(rest)}`);
  const [label = "", value] = typeof labelSelector === "string" ? labelSelector.split("=") : [];
  return (resource) =>
    resource.kind === kind &&
    (typeof name !== "string" || new RegExp(`^(${name})$`).test(resource.metadata.name)) &&
    (value === undefined || resource.metadata.labels[label] === value);
}

function merge(base: Value | undefined, patch: Value, field = ""): Value {
  const key = KEYS.get(field);
  if (Array.isArray(base) && Array.isArray(patch) && key !== undefined) {
    const same = (a: Value, b: Value) => fields(a)[key] === fields(b)[key];
    const changed = base.map((item) => {
      const change = patch.find((one) => same(one, item));
      return change === undefined ? item : merge(item, change);
    });
    return [...changed, ...patch.filter((one) => !base.some((item) => same(item, one)))];
  }
  if (!isFields(base) || !isFields(patch)) return patch;
  const merged = { ...base };
  for (const [name, value] of Object.entries(patch)) merged[name] = merge(base[name], value, name);
  return merged;
}

function documents(path: string): Resource[] {
  return parseAllDocuments(readFileSync(path, "utf8"))
    .map((document) => fields(document.toJS()))
    .map((object) => {
      const { apiVersion, kind, metadata } = object;
      const { name, labels, ...rest } = fields(metadata);
      if (typeof apiVersion !== "string" || typeof kind !== "string" || typeof name !== "string")
        throw new Error(`${path} holds something that is no object of Kubernetes`);
      const texts = Object.entries(fields(labels)).map(([label, value]) => [label, String(value)]);
      return { ...object, apiVersion, kind, metadata: { ...rest, name, labels: Object.fromEntries(texts) } };
    });
}

/** A value's fields; none, if it has none. */
export function fields(value: Value | undefined): Fields {
  return isFields(value) ? value : {};
}

/** A value's items; none, if it has none. */
export function list(value: Value | undefined): Value[] {
  return Array.isArray(value) ? value : [];
}

/** What stands at a path: `at(pod, "spec", "containers", 0)`; undefined if nothing does. */
export function at(value: Value | undefined, ...path: (string | number)[]): Value | undefined {
  let current = value;
  for (const step of path) current = typeof step === "number" ? list(current)[step] : fields(current)[step];
  return current;
}

function isFields(value: Value | undefined): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
