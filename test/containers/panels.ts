import { askPrometheus, metricsIn, panelExpressions, ruleExpressions } from "../helpers/monitoring.ts";

/**
 * Asks a running Prometheus everything that the dashboards and rules ask it:
 *
 *   node test/containers/panels.ts http://127.0.0.1:9090
 *
 * An expression that Prometheus refuses fails. So does a metric of the nodes that it knows nothing of: list those that need an
 * event which didn't happen as further arguments.
 */
const [url = "http://127.0.0.1:9090", ...excused] = process.argv.slice(2);

const asked = [...panelExpressions(), ...ruleExpressions()];
const empty: string[] = [];
for (const { where, expr } of asked) {
  const { error, series } = await askPrometheus(url, expr);
  if (error !== undefined) {
    console.error(`${where}: ${error}\n  ${expr}`);
    process.exitCode = 1;
  } else if (series === 0) empty.push(where);
}
const unknown: string[] = [];
for (const name of new Set(asked.flatMap(({ expr }) => metricsIn(expr)))) {
  const { series } = await askPrometheus(url, `last_over_time(${name}[1h])`);
  if (series === 0 && !excused.includes(name)) unknown.push(name);
}
console.log(`${asked.length} expressions, ${empty.length} without a series now`);
if (unknown.length > 0) {
  console.error(`Prometheus knows nothing of ${unknown.join(", ")}`);
  process.exitCode = 1;
}
