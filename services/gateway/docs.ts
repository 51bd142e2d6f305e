import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { answerDocument } from "./answers.ts";
import type { Page } from "./front.ts";

const ROOT = "/api/docs";
const SWAGGER_UI = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));

/** The page runs only what this server serves, and talks to this server alone. Swagger UI draws with data: images. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HTML = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Molecart API</title>
    <link rel="icon" type="image/png" href="${ROOT}/favicon-32x32.png">
    <link rel="stylesheet" href="${ROOT}/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="${ROOT}/swagger-ui-bundle.js"></script>
    <script src="${ROOT}/init.js"></script>
  </body>
</html>
`;

const SCRIPT = `SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  tryItOutEnabled: true,
  validatorUrl: null,
});
`;

interface Asset {
  type: string;
  read: () => Promise<Buffer>;
}

const text = (content: string) => () => Promise.resolve(Buffer.from(content));
const swaggerUi = (name: string) => () => readFile(join(SWAGGER_UI, name));

/** All there is: nothing else of the package, or of the disk, can be asked for. */
const ASSETS: Readonly<Record<string, Asset>> = {
  [ROOT]: { type: "text/html; charset=utf-8", read: text(HTML) },
  [`${ROOT}/init.js`]: { type: "text/javascript; charset=utf-8", read: text(SCRIPT) },
  [`${ROOT}/swagger-ui-bundle.js`]: {
    type: "text/javascript; charset=utf-8",
    read: swaggerUi("swagger-ui-bundle.js"),
  },
  [`${ROOT}/swagger-ui.css`]: { type: "text/css; charset=utf-8", read: swaggerUi("swagger-ui.css") },
  [`${ROOT}/favicon-32x32.png`]: { type: "image/png", read: swaggerUi("favicon-32x32.png") },
};

/** A page to read and try the API: Swagger UI, served from here and from nowhere else. */
export function docsPages(): [string, Page][] {
  return Object.entries(ASSETS).map(([path, asset]): [string, Page] => {
    let loaded: Promise<{ type: string; body: Buffer; etag: string }> | undefined;
    return [
      path,
      async (req, res) => {
        loaded ??= load(asset);
        res.setHeader("Content-Security-Policy", POLICY);
        answerDocument(req, res, await loaded);
      },
    ];
  });
}

async function load({ type, read }: Asset) {
  const body = await read();
  return { type, body, etag: `"${createHash("sha256").update(body).digest("base64url")}"` };
}
