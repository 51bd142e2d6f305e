import { placeholder } from "../../lib/placeholder.ts";
import { usersContract } from "./users.contract.ts";
export default placeholder(usersContract);
