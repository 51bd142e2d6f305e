import { placeholder } from "../../lib/placeholder.ts";
import { analyticsContract } from "./analytics.contract.ts";
export default placeholder(analyticsContract);
