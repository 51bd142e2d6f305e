import type { Contract } from "./contract.ts";
import { defineService } from "./service.ts";
/** TEMPORARY, while the services are being written. */
export function placeholder(contract: Contract) {
  return defineService(contract)({
    actions: Object.fromEntries(
      Object.keys(contract.actions).map((k) => [
        k,
        async () => {
          throw new Error(`${contract.name}.${k} is not written yet`);
        },
      ]),
    ),
  });
}
