import type { Documents } from "../../lib/stores/documents.ts";
import type { AnalyticsDocument } from "./analytics.model.ts";
import type { Slice } from "./period.ts";

/** Documents read at once: some megabytes. NeDB looks at the whole day for each page, so few pages are fast ones. */
const PAGE = 10_000;

/** The documents of a day, page by page, so that no day has to fit into memory. */
export async function* documentsOf(
  documents: Pick<Documents<AnalyticsDocument>, "find">,
  { from, to }: Pick<Slice, "from" | "to">,
  limit = PAGE,
): AsyncGenerator<AnalyticsDocument> {
  let after = "";
  for (;;) {
    const page = await documents.find({
      // NeDB goes by the index of the last field named here, which has to be the narrow one.
      query: { _id: { $gt: after }, at: { $gte: from, $lte: to } },
      sort: ["_id"],
      limit,
    });
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < limit) return;
    after = last._id;
  }
}
