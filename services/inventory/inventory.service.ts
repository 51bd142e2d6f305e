import { placeholder } from "../../lib/placeholder.ts";
import { inventoryContract } from "./inventory.contract.ts";
export default placeholder(inventoryContract);
