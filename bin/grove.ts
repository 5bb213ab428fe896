#!/usr/bin/env node
/**
 * The `grove` command: parses the command line, runs one command, turns its failure into one
 * line and an exit code (0 done, 1 failed, 2 wrong command line). The one home of commander.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { Command as Parser, CommanderError, Option } from 'commander'
import type { Command, Context, Input } from './command.ts'
import { bootstrapCommand } from './commands/bootstrap.ts'
import { catCommand } from './commands/cat.ts'
import { configCommand } from './commands/config.ts'
import { conflictsCommand } from './commands/conflicts.ts'
import { devicesCommand } from './commands/devices.ts'
import { explainCommand } from './commands/explain.ts'
import { holdersCommand } from './commands/holders.ts'
import { hostCommand } from './commands/host.ts'
import { initCommand } from './commands/init.ts'
import { inviteCommand } from './commands/invite.ts'
import { joinCommand } from './commands/join.ts'
import { mountCommand } from './commands/mount.ts'
import { rebuildIndexCommand } from './commands/rebuild-index.ts'
import { recoverCommand } from './commands/recover.ts'
import { redundancyCommand } from './commands/redundancy.ts'
import { statusCommand } from './commands/status.ts'
import { stopCommand } from './commands/stop.ts'
import { syncCommand } from './commands/sync.ts'
import { unmountCommand } from './commands/unmount.ts'
import { verifyCommand } from './commands/verify.ts'
import { versionsCommand } from './commands/versions.ts'
import { explainError } from './explain-error.ts'
import { GroveError } from './grove-error.ts'

const COMMANDS: readonly Command[] = [
  initCommand,
  mountCommand,
  unmountCommand,
  stopCommand,
  statusCommand,
  inviteCommand,
  joinCommand,
  recoverCommand,
  devicesCommand,
  holdersCommand,
  redundancyCommand,
  explainCommand,
  syncCommand,
  conflictsCommand,
  versionsCommand,
  catCommand,
  verifyCommand,
  rebuildIndexCommand,
  configCommand,
  hostCommand,
  bootstrapCommand
]

const INTRODUCTION = `A drive that lives on all of your computers at once.

Everything is kept in one home: GROVE_HOME, or grove in your data folder.`

const EXAMPLES: Command['examples'] = [
  ['grove init', 'make a drive and write down its 24 words'],
  ['grove mount', 'show it at ~/Grove'],
  ['grove status', 'see how it is'],
  ['grove invite', 'have the drive on another computer too: see grove join --help'],
  ['grove stop', 'unmount and stop']
]

/** How long a slow reader of the last output may take, in milliseconds. */
const LEAVE_MS_MAX = 5_000

/** The exit code is decided by whichever command runs. */
let exitCode = 0

void main(process.argv.slice(2)).then(leave)

async function main(args: readonly string[]): Promise<number> {
  // Whatever is made in a home, also by libraries, is the owner's alone.
  process.umask(0o077)
  const parser = makeParser()
  try {
    await parser.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return usageExitCode(error)
    return fail(error, args.includes('--json'))
  }
}

function makeParser(): Parser {
  const parser = new Parser('grove')
    .description(INTRODUCTION)
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    // An option belongs to the command that it comes after.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(oneLine(text)) })
    .addHelpText('after', examplesText(EXAMPLES))
  for (const command of COMMANDS) addCommand(parser, command)
  return parser
}

function addCommand(parser: Parser, command: Command): void {
  const sub = parser
    .command(command.name)
    .description(command.summary)
    .helpOption('-h, --help', 'show help')
    .addHelpText('after', examplesText(command.examples))
  for (const [syntax, summary] of command.positional) sub.argument(syntax, summary)
  for (const { flags, summary, choices, hidden = false, repeats = false } of command.options) {
    const option = new Option(flags, summary).hideHelp(hidden)
    if (repeats) option.argParser(joinLines)
    sub.addOption(choices === undefined ? option : option.choices(choices))
  }
  sub.option('--json', 'print the result as JSON')
  sub.action(async () => {
    const values = sub.optsWithGlobals<Record<string, unknown>>()
    const context = makeContext(values['json'] === true)
    exitCode = (await command.run(context, readInput(sub))) ?? 0
  })
  sub.enablePositionalOptions()
  for (const each of command.subcommands ?? []) addCommand(sub, each)
}

function joinLines(value: string, before: string | undefined): string {
  return before === undefined ? value : `${before}\n${value}`
}

function readInput(parsed: Parser): Input {
  const options = new Map<string, string | true>()
  for (const option of parsed.options) {
    const value: unknown = parsed.getOptionValue(option.attributeName())
    if (typeof value === 'string' || value === true) options.set(option.name(), value)
  }
  return { positional: parsed.args, options }
}

function makeContext(json: boolean): Context {
  const interrupted = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => interrupted.abort(new GroveError('FAILED', `interrupted by ${name}`)))
  // A reader of our output that goes away is noticed where the result is written.
  process.stdout.on('error', () => undefined)
  process.stderr.on('error', () => undefined)
  const { env: environment, stdout, stderr, stdin } = process
  return { environment, stdout, stderr, stdin, json, signal: interrupted.signal }
}

function fail(error: unknown, json: boolean): number {
  const explained = explainError(error)
  const { code, message } = explained
  process.stderr.write(
    json ? `${JSON.stringify({ error: { code, message } })}\n` : `grove: ${message}\n`
  )
  return explained.exitCode
}

/** The parser has already said what is wrong. */
function usageExitCode(error: CommanderError): number {
  return error.exitCode === 0 ? 0 : 2
}

/** The parser's messages begin with "error:" and may be followed by a suggestion. */
function oneLine(text: string): string {
  const message = text
    .trim()
    .replace(/^error: /, '')
    .replaceAll('\n', ' ')
  return `grove: ${message}; see grove --help\n`
}

function examplesText(examples: Command['examples']): string {
  const width = Math.max(...examples.map(([line]) => line.length))
  const lines = examples.map(([line, meaning]) => `  ${line.padEnd(width)}  ${meaning}`)
  return `\nExamples:\n${lines.join('\n')}`
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return String((JSON.parse(text) as { version: unknown }).version)
}

/** Native parts may keep the process busy with nothing; it ends when its output is written. */
function leave(code: number): void {
  setTimeout(() => process.exit(code), LEAVE_MS_MAX)
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
}
