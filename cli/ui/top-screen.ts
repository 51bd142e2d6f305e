import { Box, type Key as InkKey, Text, useInput, useWindowSize } from "ink";
import { createElement as h, type ReactElement, useEffect, useRef, useState } from "react";
import { clean } from "../lib/output.ts";
import { TopDetail, TopHelp } from "./top-detail.ts";
import { headerLines, TopHeader } from "./top-header.ts";
import { arranged, partsOf } from "./top-layout.ts";
import { ListView } from "./top-list-view.ts";
import { type ListName, makeList, type Sources } from "./top-lists.ts";
import { cursorOf, press, startTop, type TopKey, type TopState } from "./top-state.ts";
import type { TopView, Wanted } from "./top-view.ts";

interface Props {
  view: TopView;
  /** Whether somebody is there to press keys. */
  hasKeys: boolean;
  want: (wanted: Wanted) => void;
  quit: () => void;
  /** In place of the terminal's own. */
  size?: { columns: number; rows: number };
}

/** The live screen of `top`. */
export function TopScreen({ view, hasKeys, want, quit, size }: Props): ReactElement {
  const terminal = useWindowSize();
  const { columns, rows } = size ?? terminal;
  const [state, setState] = useState<TopState<TopView>>(startTop);
  // Two keys may come between two renders: the newest state is here.
  const latest = useRef(state);
  const shown = state.frozen ?? view;
  const sources = sourcesOf(shown);

  useInput(
    (text, key) => {
      if (key.ctrl && text === "c") return quit();
      for (const one of keysOf(text, key)) {
        const { list, filter, sorts } = latest.current;
        const active = sources && makeList(list, sources);
        const next = press(latest.current, one, {
          keys: active ? arranged(active, filter, sorts[list]).map((row) => row.key) : [],
          columns: active?.columns ?? [],
          view,
        });
        if (next === null) return quit();
        latest.current = next;
      }
      setState(latest.current);
    },
    { isActive: hasKeys },
  );

  const { list, detail } = state;
  const order = detail?.list === "orders" || detail?.list === "sagas" ? detail.key.split(" ")[0] : undefined;
  const wantedList = list === "orders" || list === "sagas" ? list : undefined;
  useEffect(() => want({ list: wantedList, order }), [want, wantedList, order]);

  // A frame as high as the terminal would be drawn anew as a whole, and flicker.
  const height = rows - 1;
  const header = headerLines(rows);
  const body = { width: columns, height: height - header };
  // A list's header and one row of it.
  if (body.height < 2) {
    return h(
      Text,
      { wrap: "truncate" },
      `Too small: top needs 6 lines. ${hasKeys ? "q quits" : "Ctrl-C ends"}`,
    );
  }
  return h(
    Box,
    { flexDirection: "column", width: columns, height, overflow: "hidden" },
    h(TopHeader, {
      ...{ view: shown, trouble: view.trouble, state, width: columns, height: header, hasKeys },
    }),
    state.isHelp
      ? h(TopHelp)
      : sources && detail
        ? h(TopDetail, { view: shown, detail, ...body })
        : sources
          ? h(Lists, { sources, state, ...body })
          : h(Text, null, "Looking…"),
  );
}

function sourcesOf({ snapshot, orders, sagas }: TopView): Sources | undefined {
  return snapshot && { snapshot, orders, sagas };
}

/** A paste comes as one text: each of its letters is a key. */
function keysOf(text: string, key: InkKey): TopKey[] {
  if (key.upArrow) return [{ name: "up" }];
  if (key.downArrow) return [{ name: "down" }];
  if (key.pageUp) return [{ name: "pageUp" }];
  if (key.pageDown) return [{ name: "pageDown" }];
  if (key.return) return [{ name: "enter" }];
  if (key.escape) return [{ name: "escape" }];
  if (key.tab) return [{ name: key.shift ? "backTab" : "tab" }];
  if (key.backspace || key.delete) return [{ name: "backspace" }];
  if (key.ctrl || key.meta) return [];
  return [...clean(text)].map((letter) => ({ name: "text", text: letter }));
}

/** Lists that come with every snapshot: where there is room, they stand below the active one. */
const ALWAYS: readonly ListName[] = ["services", "nodes", "queues", "stock"];

function Lists(props: {
  sources: Sources;
  state: TopState<TopView>;
  width: number;
  height: number;
}): ReactElement {
  const { sources, state, width, height } = props;
  const names = new Set([...ALWAYS, state.list]);
  const lists = new Map(
    [...names].map((name) => {
      const list = makeList(name, sources);
      const filter = name === state.list ? state.filter : "";
      return [name, { list, rows: arranged(list, filter, state.sorts[name]) }];
    }),
  );
  const counts = Object.fromEntries([...lists].map(([name, { rows }]) => [name, rows.length]));
  return h(
    Box,
    { flexDirection: "column" },
    ...partsOf(height, state.list, counts).map((part, index) => {
      const own = lists.get(part.name);
      const isActive = part.name === state.list;
      return h(
        Box,
        { key: part.name, flexDirection: "column", marginTop: index > 0 ? 1 : 0 },
        own &&
          h(ListView, {
            ...{ ...own, part, width, isActive, sort: state.sorts[part.name] },
            cursor: isActive
              ? cursorOf(
                  state,
                  own.rows.map((row) => row.key),
                )
              : undefined,
          }),
      );
    }),
  );
}
