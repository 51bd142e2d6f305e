import { placeholder } from "../../lib/placeholder.ts";
import { ordersContract } from "./orders.contract.ts";
export default placeholder(ordersContract);
