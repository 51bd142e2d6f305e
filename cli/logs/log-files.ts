import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileNumber } from "../../lib/log-file.ts";
import { type LogLine, lineOf } from "./log-lines.ts";

const NEWLINE = 10;

/** Files of one node, the oldest first. */
export interface NodeFiles {
  node: string;
  paths: string[];
}

/** Where reading of a node goes on: in which file, and behind which byte of it. */
export type Position = Map<string, number>;

/** The nodes that keep a log below `directory`, by name; none if it isn't there. */
export async function nodesOf(directory: string): Promise<NodeFiles[]> {
  const names = await readdir(directory).catch((): string[] => []);
  const nodes = await Promise.all(
    names.sort().map(async (node) => {
      const files = await readdir(join(directory, node)).catch((): string[] => []);
      const numbered = files.flatMap((name) => {
        const number = fileNumber(name);
        return number === undefined ? [] : [{ name, number }];
      });
      const paths = numbered
        .sort((a, b) => a.number - b.number)
        .map(({ name }) => join(directory, node, name));
      return { node, paths };
    }),
  );
  return nodes.filter(({ paths }) => paths.length > 0);
}

/**
 * The lines of all nodes from where `position` stands, by their times; each node's own stay in their order. Memory is
 * bounded by a line a node.
 * @param position is moved on behind what was read; what has no newline yet is left for the next time
 */
export async function* readLines(nodes: readonly NodeFiles[], position: Position): AsyncGenerator<LogLine> {
  const sources = nodes.map((files) => linesOfNode(files, position));
  const heads = await Promise.all(sources.map((source) => source.next()));
  for (;;) {
    let first = -1;
    let earliest = Number.POSITIVE_INFINITY;
    for (const [index, head] of heads.entries()) {
      if (head.done || head.value.time >= earliest) continue;
      first = index;
      earliest = head.value.time;
    }
    const head = heads[first];
    const source = sources[first];
    if (!head || head.done || !source) return;
    yield head.value;
    heads[first] = await source.next();
  }
}

async function* linesOfNode(
  { node, paths }: NodeFiles,
  position: Position,
): AsyncGenerator<LogLine, undefined> {
  let before: LogLine | undefined;
  for (const path of paths) {
    const start = position.get(path) ?? 0;
    const size = await sizeOf(path);
    if (size <= start) continue;
    let rest = Buffer.alloc(0);
    for await (const chunk of createReadStream(path, { start, end: size - 1 })) {
      const data = Buffer.concat([rest, chunk]);
      let from = 0;
      for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, from)) {
        const text = data.toString("utf8", from, end);
        from = end + 1;
        if (text === "") continue;
        before = lineOf(node, text, before);
        yield before;
      }
      rest = data.subarray(from);
    }
    position.set(path, size - rest.length);
  }
  return undefined;
}

/** Of a file that was rolled away meanwhile: 0. */
async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** The last files of each node, as many as `depth`; what stands before them counts as read. */
export async function newestOf(
  nodes: readonly NodeFiles[],
  depth: number,
  position: Position,
): Promise<NodeFiles[]> {
  for (const { paths } of nodes)
    for (const path of paths.slice(0, -depth)) position.set(path, await sizeOf(path));
  return nodes.map(({ node, paths }) => ({ node, paths: paths.slice(-depth) }));
}
