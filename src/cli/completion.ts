/** `completion`: what a shell needs to complete commands and options, made from the commands themselves. */
import { Argument, type Command } from 'commander';

/** One place on the command line: the commands before it, and what may come there, each with its description. */
interface Place {
  path: string;
  words: { word: string; about: string }[];
}

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export function completionCommand(program: Command): void {
  program
    .command('completion')
    .description(
      'completion of a shell, for an alias or program of the name holdfast: source <(holdfast completion bash)',
    )
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .action((shell: Shell) => console.log(SCRIPTS[shell](placesOf(program))));
}

function placesOf(command: Command, path = ''): Place[] {
  const words = [
    ...command.commands.map((one) => ({ word: one.name(), about: one.description() })),
    ...command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices.map((word) => ({ word, about: '' }))),
    ...command.options.map(({ long, short, description }) => ({ word: long ?? short ?? '', about: description })),
    { word: '--help', about: 'how to use it' },
  ];
  return [{ path, words }, ...command.commands.flatMap((one) => placesOf(one, `${path} ${one.name()}`.trim()))];
}

/** A word in quotes of a shell, in which nothing is expanded. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const known = (places: Place[]): string[] => places.map(({ path }) => path).filter((path) => path !== '');

const SCRIPTS: Record<Shell, (places: Place[]) => string> = {
  bash: (places) => `_holdfast() {
  local path= part
  for part in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$part" in
      ${known(places).map(quoted).join('|')}) path="\${path:+$path }$part" ;;
    esac
  done
  case "$path" in
${places.map(({ path, words }) => `    ${quoted(path)}) part=${quoted(words.map(({ word }) => word).join(' '))} ;;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$part" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _holdfast holdfast`,
  zsh: (places) => `#compdef holdfast
_holdfast() {
  local at= part
  local -a found
  for part in "\${(@)words[2,CURRENT-1]}"; do
    case "\${at:+$at }$part" in
      ${known(places)
        .map((path) => `(${quoted(path)})`)
        .join('|')}) at="\${at:+$at }$part" ;;
    esac
  done
  case "$at" in
${places.map(({ path, words }) => `    (${quoted(path)}) found=(${words.map(({ word, about }) => quoted(`${word}:${about.replaceAll(':', '\\:')}`)).join(' ')}) ;;`).join('\n')}
  esac
  _describe holdfast found
}
compdef _holdfast holdfast`,
  fish: (places) => `function __holdfast_at
  set -l at
  for part in (commandline -opc)[2..-1]
    contains -- (string join ' ' $at $part) ${known(places).map(quoted).join(' ')}
    and set at $at $part
  end
  test (string join ' ' -- $at) = "$argv[1]"
end
complete -c holdfast -f
${places.flatMap(({ path, words }) => words.map(({ word, about }) => `complete -c holdfast -n ${quoted(`__holdfast_at ${quoted(path)}`)} ${word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${quoted(word)}`} -d ${quoted(about)}`)).join('\n')}`,
};
