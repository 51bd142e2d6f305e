export const SQL_SERVICES = ["users", "products", "inventory", "orders", "payments"] as const;
export type SqlService = (typeof SQL_SERVICES)[number];

export const SERVICE_NAMES = [
  "gateway",
  "auth",
  "users",
  "products",
  "inventory",
  "cart",
  "orders",
  "payments",
  "notifications",
  "analytics",
] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

export function isServiceName(name: string): name is ServiceName {
  return SERVICE_NAMES.some((one) => one === name);
}
