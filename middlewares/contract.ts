import type { Context, Middleware, Service } from "moleculer";
import { Compile, type Validator } from "typebox/compile";
import type { TLocalizedValidationError } from "typebox/error";
import type { ActionSpec } from "../lib/contract.ts";
import { ValidationFailed, type Violation } from "../lib/errors.ts";
import { meaningOf } from "../lib/schema.ts";
import { contracts } from "../services/contracts.ts";

const specs = new Map<string, ActionSpec>(
  contracts.flatMap(({ name, actions }) =>
    Object.entries(actions).map(([action, spec]): [string, ActionSpec] => [`${name}.${action}`, spec]),
  ),
);

/** The contract of an action by its full name (`orders.checkout`). */
export function specOf(action: string): ActionSpec | undefined {
  return specs.get(action);
}

const compiled = new Map<string, Validator>();

/** Validators are compiled at first use: all of them at boot would cost a cold start a few hundred ms. */
function validatorOf(key: string, schema: ActionSpec["params"] | ActionSpec["result"]): Validator {
  let validator = compiled.get(key);
  if (!validator) {
    validator = Compile(schema);
    compiled.set(key, validator);
  }
  return validator;
}

/**
 * Whether an answer has all that this version's contract says, as one of an older node may not. It may have more: that is
 * what a newer one adds.
 */
export function isWhole(action: string, answer: unknown): boolean {
  const spec = specOf(action);
  if (!spec) return true;
  const validator = validatorOf(`${action} result`, spec.result);
  // Without what it has more: of its errors only the first few would be told.
  return validator.Check(answer) || validator.Check(validator.Clean(structuredClone(answer)));
}

/** Each thing that is wrong with a value, at the path of the property it is about. */
export function violationsOf(validator: Validator, value: unknown): Violation[] {
  let errors = validator.Errors(value);
  for (const choice of errors.filter(({ keyword }) => keyword === "anyOf"))
    errors = ofItsKind(errors, choice);
  return errors.flatMap(violationsOfError).slice(0, 20);
}

/**
 * Of a value that may be of several kinds, what stands against it as the kind it is: that a blank text is no object
 * tells nobody anything. One of another kind is told which there are, once.
 */
function ofItsKind(
  errors: TLocalizedValidationError[],
  choice: TLocalizedValidationError,
): TLocalizedValidationError[] {
  const inside = errors.filter(
    ({ schemaPath, instancePath }) =>
      isWithin(schemaPath, `${choice.schemaPath}/anyOf`) && isWithin(instancePath, choice.instancePath),
  );
  const otherKinds = inside.filter(
    (error) =>
      error.keyword === "type" &&
      error.instancePath === choice.instancePath &&
      inside.filter(({ schemaPath }) => isWithin(schemaPath, error.schemaPath)).length === 1,
  );
  const isOther = new Set(otherKinds);
  const rest = errors.filter((error) => !isOther.has(error));
  if (isOther.size < inside.length) return rest.filter((error) => error !== choice);
  const names = new Set(otherKinds.flatMap((error) => (error.keyword === "type" ? error.params.type : [])));
  if (names.size === 0) return errors;
  return rest.map((error) =>
    error === choice ? { ...choice, message: `must be ${[...names].join(" or ")}` } : error,
  );
}

function isWithin(path: string, outer: string): boolean {
  return path === outer || path.startsWith(`${outer}/`);
}

function violationsOfError(error: TLocalizedValidationError): Violation[] {
  const at = (name: string) => `${error.instancePath}/${name.slice(0, 100)}`;
  switch (error.keyword) {
    case "additionalProperties":
      return error.params.additionalProperties.map((name) => ({
        path: at(name),
        message: "is not known here",
      }));
    case "required":
      return error.params.requiredProperties.map((name) => ({ path: at(name), message: "is required" }));
    case "boolean":
      // A refused property is told of by `additionalProperties`; that its schema is `false` tells nobody anything.
      return [];
    case "enum":
      return [
        { path: error.instancePath, message: `must be one of ${error.params.allowedValues.join(", ")}` },
      ];
    case "pattern":
      return [{ path: error.instancePath, message: meaningOf(error.params.pattern) ?? error.message }];
    case "format":
      return [{ path: error.instancePath, message: "must be a time like 2026-11-20T10:00:00Z" }];
    default:
      return [{ path: error.instancePath, message: error.message }];
  }
}

/**
 * Checks the params of every action against its contract, on the node that runs it: unknown properties and wrong
 * values are refused with their path, before the handler sees them.
 * @param checkResults also check what the handler answers (tests): an answer off the contract is our bug
 */
export function contractMiddleware({ checkResults }: { checkResults: boolean }): Middleware {
  return {
    name: "Contract",
    localAction(next, action) {
      const name = action.name ?? "";
      const spec = specOf(name);
      if (!spec) return next;
      return async function (this: Service, ctx: Context) {
        const params = validatorOf(`${name} params`, spec.params);
        const given = ctx.params ?? {};
        if (!params.Check(given)) throw new ValidationFailed({ violations: violationsOf(params, given) });
        const answer: unknown = await next.call(this, ctx);
        if (checkResults) {
          const result = validatorOf(`${name} result`, spec.result);
          if (!result.Check(answer)) {
            throw new Error(
              `${name} answered off its contract: ${JSON.stringify(violationsOf(result, answer))}`,
            );
          }
        }
        return answer;
      };
    },
  };
}
