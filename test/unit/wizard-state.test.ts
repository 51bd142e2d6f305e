import { expect, it } from "@jest/globals";
import { next, startWizard } from "../../cli/ui/wizard-state.ts";

it.each([
  ["an emoji", "Oak 🙂"],
  ["a family", "Oak 👨‍👩‍👧"],
  ["a letter and its accent", "Oak e\u0301"],
])("the way back takes %s as a whole", (_, query) => {
  const typed = { ...startWizard("", undefined), query };
  expect(next(typed, { type: "key", key: "backspace" })).toMatchObject({ query: "Oak " });
});
