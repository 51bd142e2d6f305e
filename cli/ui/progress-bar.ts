import { Box, Text, useWindowSize } from "ink";
import { createElement as h, type ReactElement } from "react";
import { type Progress, progressLine } from "../lib/progress.ts";

/** A bar with rate and time left, on two lines. */
export function ProgressBar({ progress }: { progress: Progress | undefined }): ReactElement {
  const { columns } = useWindowSize();
  if (!progress) return h(Text, null, "Starting…");
  const { done, total } = progress;
  const width = Math.max(10, Math.min(60, columns - 8));
  const share = total === undefined ? undefined : total === 0 ? 1 : Math.min(1, done / total);
  return h(
    Box,
    { flexDirection: "column" },
    ...(share === undefined
      ? []
      : [
          h(
            Text,
            { key: "bar" },
            h(Text, { color: "green" }, "█".repeat(Math.floor(share * width))),
            h(Text, { dimColor: true }, "░".repeat(width - Math.floor(share * width))),
            ` ${Math.floor(share * 100)} %`,
          ),
        ]),
    h(Text, { key: "line", wrap: "truncate" }, progressLine(progress)),
  );
}
