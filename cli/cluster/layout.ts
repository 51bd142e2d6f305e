import { isServiceName, SERVICE_NAMES, type ServiceName } from "../../lib/service-names.ts";
import { Misuse } from "../lib/errors.ts";

/** One process of a cluster. */
export interface NodePlan {
  /** Its node's id: unique in the cluster. */
  name: string;
  services: readonly ServiceName[];
}

/** Five processes: what is called together runs together, and what is slow by nature stands alone. */
const DEFAULT: readonly (readonly ServiceName[])[] = [
  ["gateway"],
  ["auth", "users", "cart"],
  ["products", "inventory"],
  ["orders", "payments"],
  ["notifications", "analytics"],
];
const MOST = 20;

/**
 * Which processes to start. Each argument takes services out of the default layout and gives them processes of their
 * own: `orders=3`, `orders+payments=2`, `analytics=0` for none.
 * @throws Misuse
 */
export function layoutOf(args: readonly string[]): NodePlan[] {
  const asked = args.map(parse);
  const taken = asked.flatMap(({ services }) => services);
  const twice = taken.find((name, index) => taken.indexOf(name) !== index);
  if (twice) throw new Misuse(`${twice} is named twice.`);
  const rest = DEFAULT.map((group) => group.filter((name) => !taken.includes(name)));
  return [...rest.map((services) => ({ services, count: 1 })), ...asked].flatMap(({ services, count }) => {
    if (services.length === 0) return [];
    const name = services.join("-");
    return Array.from({ length: count }, (_, index) => ({
      name: count === 1 ? name : `${name}-${index + 1}`,
      services,
    }));
  });
}

function parse(arg: string): { services: ServiceName[]; count: number } {
  const [names = "", number = ""] = arg.split("=");
  const count = Number(number);
  if (!/^[^=]+=\d+$/.test(arg) || count > MOST)
    throw new Misuse(
      `${arg} is no part of a layout.`,
      `Write it like orders=3, with a number from 0 to ${MOST}.`,
    );
  const services = names.split("+").map((name) => {
    if (!isServiceName(name))
      throw new Misuse(`There is no service ${name}.`, `There are ${SERVICE_NAMES.join(", ")}.`);
    return name;
  });
  return { services, count };
}
