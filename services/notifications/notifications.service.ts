import { placeholder } from "../../lib/placeholder.ts";
import { notificationsContract } from "./notifications.contract.ts";
export default placeholder(notificationsContract);
