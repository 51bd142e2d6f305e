import { StringDecoder } from "node:string_decoder";

/**
 * The lines of a text that ends each by `\n`, and by nothing else: Node's readline would cut at U+2028 as well, which may
 * stand in JSON as it is, and keeps a stream's failure to itself.
 */
export async function* linesOf(content: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  for await (const chunk of content) {
    const lines = (rest + decoder.write(chunk)).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}
