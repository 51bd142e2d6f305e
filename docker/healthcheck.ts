import { get } from "node:http";

/**
 * The container's health is its node's readiness: started, its stores answer, not on its way out. Ends with 0 or 1 and
 * says what stands against it.
 */

/** ms; below the 4 s that the image's HEALTHCHECK waits. */
const TIMEOUT = 3000;

const { HEALTH_PORT, PORT } = process.env;
const address = { host: "127.0.0.1", port: HEALTH_PORT || PORT || "8080", path: "/health/ready" };

const request = get({ ...address, timeout: TIMEOUT }, (response) => {
  response.pipe(process.stdout);
  process.exitCode = response.statusCode === 200 ? 0 : 1;
});
request.on("timeout", () => request.destroy(new Error(`no answer within ${TIMEOUT} ms`)));
request.on("error", (error) => {
  console.log(String(error));
  process.exitCode = 1;
});
