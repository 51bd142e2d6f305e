import type { ServiceFactory } from "../lib/service.ts";
import type { ServiceName } from "../lib/service-names.ts";
import analytics from "./analytics/analytics.service.ts";
import auth from "./auth/auth.service.ts";
import cart from "./cart/cart.service.ts";
import gateway from "./gateway/gateway.service.ts";
import inventory from "./inventory/inventory.service.ts";
import notifications from "./notifications/notifications.service.ts";
import orders from "./orders/orders.service.ts";
import payments from "./payments/payments.service.ts";
import products from "./products/products.service.ts";
import users from "./users/users.service.ts";

/** Every service of the shop by name, for whoever runs them all in one process without the runner (tests). */
export const services: Record<ServiceName, ServiceFactory> = {
  users,
  auth,
  inventory,
  products,
  cart,
  payments,
  orders,
  notifications,
  analytics,
  gateway,
};
