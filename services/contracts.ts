import type { Contract, Flatten } from "../lib/contract.ts";
import { analyticsContract } from "./analytics/analytics.contract.ts";
import { authContract } from "./auth/auth.contract.ts";
import { cartContract } from "./cart/cart.contract.ts";
import { gatewayContract } from "./gateway/gateway.contract.ts";
import { inventoryContract } from "./inventory/inventory.contract.ts";
import { notificationsContract } from "./notifications/notifications.contract.ts";
import { ordersContract } from "./orders/orders.contract.ts";
import { paymentsContract } from "./payments/payments.contract.ts";
import { productsContract } from "./products/products.contract.ts";
import { usersContract } from "./users/users.contract.ts";

/** Every action of the shop, by full name: the one map behind `call`, the gateway and OpenAPI. */
export type Actions = Flatten<typeof gatewayContract> &
  Flatten<typeof authContract> &
  Flatten<typeof usersContract> &
  Flatten<typeof productsContract> &
  Flatten<typeof inventoryContract> &
  Flatten<typeof cartContract> &
  Flatten<typeof ordersContract> &
  Flatten<typeof paymentsContract> &
  Flatten<typeof notificationsContract> &
  Flatten<typeof analyticsContract>;

export const contracts: readonly Contract[] = [
  gatewayContract,
  authContract,
  usersContract,
  productsContract,
  inventoryContract,
  cartContract,
  ordersContract,
  paymentsContract,
  notificationsContract,
  analyticsContract,
];
