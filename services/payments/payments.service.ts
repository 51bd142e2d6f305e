import { placeholder } from "../../lib/placeholder.ts";
import { paymentsContract } from "./payments.contract.ts";
export default placeholder(paymentsContract);
