import { placeholder } from "../../lib/placeholder.ts";
import { authContract } from "./auth.contract.ts";
export default placeholder(authContract);
