import { placeholder } from "../../lib/placeholder.ts";
import { cartContract } from "./cart.contract.ts";
export default placeholder(cartContract);
