import type { Command } from "commander";
import { EXIT } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { buildProgram } from "../program.ts";

/** The words that may follow a command: `order place` → its options, `order` → its subcommands. */
interface Node {
  path: string;
  words: { word: string; summary: string }[];
}

/** Prints a completion script for `bash`, `zsh` or `fish`, or what it is made of. @returns the exit code */
export async function completion(shell: string, options: { json?: boolean }, io: Io): Promise<number> {
  const nodes = nodesOf(await buildProgram(() => true), "");
  if (options.json) {
    io.printJson(Object.fromEntries(nodes.map(({ path, words }) => [path, words.map(({ word }) => word)])));
    return EXIT.ok;
  }
  io.print(shell === "fish" ? fish(nodes) : shell === "zsh" ? zsh(nodes) : bash(nodes));
  return EXIT.ok;
}

function nodesOf(command: Command, path: string): Node[] {
  const options = command.options.flatMap(({ long, description }) =>
    long ? [{ word: long, summary: description }] : [],
  );
  const children = command.commands.map((child) => ({ word: child.name(), summary: child.description() }));
  const choices = command.registeredArguments.flatMap(({ argChoices }) =>
    (argChoices ?? []).map((word) => ({ word, summary: "" })),
  );
  const words = [...children, ...choices, ...options, { word: "--help", summary: "explain the command" }];
  return [
    { path, words },
    ...command.commands.flatMap((child) => nodesOf(child, `${path} ${child.name()}`.trim())),
  ];
}

function caseOf(nodes: readonly Node[]): string {
  return nodes
    .map(({ path, words }) => `    "${path}") choices="${words.map(({ word }) => word).join(" ")}" ;;`)
    .join("\n");
}

/** Finds the command among the words before the cursor. (`path` and `words` are zsh's own names.) */
const FIND = `  local where="" word choices=""
  for word in "\${before[@]}"; do
    case " $commands " in *" $word "*) where="\${where:+$where }$word" ;; esac
  done`;

const names = (nodes: readonly Node[]) =>
  [...new Set(nodes.flatMap(({ path }) => path.split(" ")))].filter((name) => name !== "").join(" ");

function bash(nodes: readonly Node[]): string {
  return `# bash completion of molecart
_molecart() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" commands="${names(nodes)}"
  local before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
${FIND}
  case "$where" in
${caseOf(nodes)}
  esac
  COMPREPLY=($(compgen -W "$choices" -- "$cur"))
}
complete -F _molecart molecart`;
}

function zsh(nodes: readonly Node[]): string {
  return `#compdef molecart
_molecart() {
  local commands="${names(nodes)}"
  local -a before=("\${words[@]:1:$((CURRENT-2))}")
${FIND}
  case "$where" in
${caseOf(nodes)}
  esac
  compadd -- \${=choices}
}
compdef _molecart molecart`;
}

function fish(nodes: readonly Node[]): string {
  const quoted = (text: string) => `'${text.replace(/[\\']/g, "\\$&")}'`;
  const lines = nodes.flatMap(({ path, words }) => {
    const parts = path.split(" ").filter((part) => part !== "");
    const seen = parts.map((part) => `__fish_seen_subcommand_from ${part}`);
    const when = parts.length === 0 ? "__fish_use_subcommand" : seen.join("; and ");
    return words.map(({ word, summary }) => {
      const what = word.startsWith("--") ? `-l ${word.slice(2)}` : `-a ${word}`;
      return `complete -c molecart -n ${quoted(when)} ${what} -d ${quoted(summary)}`;
    });
  });
  return ["# fish completion of molecart", "complete -c molecart -f", ...lines].join("\n");
}
