import { Box, type BoxProps, Text, type TextProps } from "ink";
import { createElement as h, type ReactElement } from "react";
import { GAP, type Part, type Sort, widthsOf, windowOf } from "./top-layout.ts";
import type { Column, List, Row, Tone } from "./top-lists.ts";

/** The cursor's mark, the tone's, and a blank. */
const MARGIN = 3;
const MARKS: Record<Tone, string> = { good: "✓", warn: "!", bad: "✗", plain: " " };
const COLORS: Partial<Record<Tone, string>> = { good: "green", warn: "yellow", bad: "red" };

interface ListViewProps {
  list: List;
  /** As they are arranged. */
  rows: readonly Row[];
  part: Pick<Part, "rows">;
  width: number;
  isActive: boolean;
  cursor: number | undefined;
  sort: Sort;
}

/** A list with its header, as much of it as there is room for. */
export function ListView({ list, rows, part, width, isActive, cursor, sort }: ListViewProps): ReactElement {
  const { columns } = list;
  const widths = widthsOf(columns, rows, width - MARGIN);
  const { start, end } = windowOf(rows.length, part.rows, cursor ?? 0);
  const hidden = rows.length - (end - start);
  const titles = columns.map(({ title }, index) => {
    const mark = index === sort.column ? (sort.descending ? "▼" : "▲") : "";
    return index === 0 && hidden > 0 ? `${title}${mark} ${end - start}/${rows.length}` : `${title}${mark}`;
  });
  const header = { dimColor: !isActive, bold: isActive };
  return h(
    Box,
    { flexDirection: "column" },
    h(Box, null, h(Text, null, " ".repeat(MARGIN)), ...cellsOf(titles, columns, widths, header)),
    ...rows.slice(start, end).map((row, index) => {
      const isChosen = start + index === cursor;
      const color = row.tone === "bad" ? { color: COLORS.bad } : {};
      const look = isChosen ? { bold: true, ...color } : color;
      return h(
        Box,
        { key: row.key },
        h(Text, { color: "cyan" }, isChosen ? "❯" : " "),
        h(Text, { color: COLORS[row.tone] }, `${MARKS[row.tone]} `),
        ...cellsOf(row.cells, columns, widths, look),
      );
    }),
    ...(rows.length === 0 ? [h(Text, { key: "none", dimColor: true }, `${" ".repeat(MARGIN)}none`)] : []),
  );
}

/** Each cell in its column, numbers to the right. Ink cuts them: it knows how wide a letter is. */
function cellsOf(
  cells: readonly string[],
  columns: readonly Column[],
  widths: readonly (number | null)[],
  look: TextProps,
): ReactElement[] {
  return cells.flatMap((cell, index) => {
    const width = widths[index] ?? null;
    if (width === null) return [];
    const place: BoxProps = {
      width,
      flexShrink: 0,
      marginLeft: index > 0 ? GAP : 0,
      justifyContent: columns[index]?.isNumber ? "flex-end" : "flex-start",
    };
    return [h(Box, { key: index, ...place }, h(Text, { wrap: "truncate", ...look }, cell))];
  });
}
