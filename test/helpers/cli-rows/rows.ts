import { OPERATOR_ROWS } from "./operator.ts";
import type { Row } from "./row.ts";
import { SHOP_ROWS } from "./shop.ts";

/** Every command of `molecart`, and what one real run of it must do in a pipe and in a terminal. */
export const ROWS: Record<string, Row> = { ...SHOP_ROWS, ...OPERATOR_ROWS };
