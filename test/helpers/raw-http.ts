import { connect, type Socket } from "node:net";

/** What a client that speaks HTTP by hand gets: for requests that no HTTP library would send. */
export interface RawAnswer {
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
  body: string;
}

/** The head of a request: its line and headers, Host among them. */
export const head = (line: string, headers: Record<string, string | number> = {}) =>
  [
    `${line} HTTP/1.1`,
    "Host: shop",
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "",
    "",
  ].join("\r\n");

export class RawClient {
  readonly socket: Socket;
  #received = "";

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect(Number(port), hostname);
    this.socket.setEncoding("latin1");
    this.socket.on("data", (chunk: string) => {
      this.#received += chunk;
    });
    // A reset is told by `closed`.
    this.socket.on("error", () => undefined);
  }

  /** Writes and waits until the kernel has it. False if the connection is gone. */
  write(data: string | Buffer): Promise<boolean> {
    return new Promise((resolve) => this.socket.write(data, (error) => resolve(!error)));
  }

  /** The next whole answer (one with Content-Length). @throws if the connection ends before */
  async answer(): Promise<RawAnswer> {
    for (;;) {
      const parsed = this.#parse();
      if (parsed) return parsed;
      if (this.socket.closed)
        throw new Error(`The connection ended after: ${JSON.stringify(this.#received)}`);
      await new Promise((resolve) => this.socket.once("data", resolve).once("close", resolve));
    }
  }

  #parse(): RawAnswer | undefined {
    const end = this.#received.indexOf("\r\n\r\n");
    if (end === -1) return undefined;
    const [first = "", ...lines] = this.#received.slice(0, end).split("\r\n");
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const length = Number(headers["content-length"] ?? 0);
    const body = this.#received.slice(end + 4, end + 4 + length);
    if (body.length < length) return undefined;
    this.#received = this.#received.slice(end + 4 + length);
    return { status: Number(first.split(" ")[1]), headers, body };
  }

  /** Resolves when the server has closed the connection. */
  async closed(): Promise<void> {
    if (!this.socket.closed) await new Promise((resolve) => this.socket.once("close", resolve));
  }

  end(): void {
    this.socket.destroy();
  }
}
