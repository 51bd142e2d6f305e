import { placeholder } from "../../lib/placeholder.ts";
import { productsContract } from "./products.contract.ts";
export default placeholder(productsContract);
