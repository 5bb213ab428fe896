/**
 * What a `grove` command is. The parser of the command line lives in `grove.ts`; the commands
 * see this interface.
 *
 * @module
 */
import type { Environment } from './home.ts'
import type { Keyboard } from './line-reader.ts'

/** Where a command writes. */
export interface Output {
  /** Whether a person watches. */
  readonly isTTY?: boolean
  /** How many characters fit on a line, on a terminal. */
  readonly columns?: number
  /** Writes text or bytes. */
  write(piece: string | Uint8Array, done?: (error?: Error | null) => void): unknown
}

/** The world around a command. */
export interface Context {
  /** Environment variables. */
  readonly environment: Environment
  /** Results. */
  readonly stdout: Output
  /** Progress, prompts and errors. */
  readonly stderr: Output
  /** What a person types. */
  readonly stdin: Keyboard
  /** Whether results are to be JSON. */
  readonly json: boolean
  /** Aborted when the person interrupts the command. */
  readonly signal: AbortSignal
}

/** The values of a command line, checked for shape by the parser. */
export interface Input {
  /** Positional arguments; absent ones are missing at the end. */
  readonly positional: readonly string[]
  /** Options by their long name without dashes, as in `read-only`. */
  readonly options: ReadonlyMap<string, string | true>
}

/** An option of a command. */
export interface CommandOption {
  /** As in help: `--name <device>` or `--foreground`. */
  readonly flags: string
  /** What it does, in a few words. */
  readonly summary: string
  /** The values it takes, if only these. */
  readonly choices?: readonly string[]
  /** Not shown in help. */
  readonly hidden?: boolean
  /** May be given several times: its values come as one, each on a line. */
  readonly repeats?: boolean
}

/** One `grove` command. */
export interface Command {
  /** As typed. */
  readonly name: string
  /** One line of help. */
  readonly summary: string
  /** Positional arguments as in help, with what they mean: `['[directory]', 'where']`. */
  readonly positional: readonly (readonly [syntax: string, summary: string])[]
  /** Its options, besides `--json` and `--help`, which every command has. */
  readonly options: readonly CommandOption[]
  /** Commands that are typed after its name, if it has any. */
  readonly subcommands?: readonly Command[]
  /** Command lines that help shows, each with what it does. */
  readonly examples: readonly (readonly [line: string, meaning: string])[]
  /**
   * Does it.
   *
   * @returns the exit code; 0 unless the command says otherwise
   * @throws {GroveError} and others, which end up as one line
   */
  run(context: Context, input: Input): Promise<number | undefined>
}

/**
 * Writes a result: one JSON document with `--json`, else lines of text. Resolves when it was
 * handed over, so that a broken pipe is an error of the command.
 */
export async function writeResult(
  context: Context,
  result: { readonly json: unknown; readonly text: readonly string[] }
): Promise<void> {
  const text = context.json
    ? `${JSON.stringify(result.json)}\n`
    : result.text.map(line => `${line}\n`).join('')
  await writeBytes(context, text)
}

/** Writes a piece of a result as it is; see {@link writeResult}. */
export async function writeBytes(context: Context, piece: string | Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    context.stdout.write(piece, error => {
      if (error) reject(error)
      else resolve()
    })
  })
}
