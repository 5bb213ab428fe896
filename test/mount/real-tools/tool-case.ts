/**
 * What a case of the real-tool suite is made of. Cases run in a child process.
 *
 * @module
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from '../../support/program.ts'

/** What a case works with. */
export interface ToolContext {
  /** The case's own directory under test; the same one in both phases. */
  readonly directory: string
  /** A folder on a native file system, empty in each phase. */
  readonly native: string
  /**
   * A directory under test that is empty when `verify` begins and is removed after it: for work
   * that shows that the drive goes on.
   */
  readonly scratch: string
  /** A path below {@link ToolContext.directory}. */
  path(...names: readonly string[]): string
  /** Runs a program in {@link ToolContext.directory} and gives its standard output. */
  run(command: string, ...args: readonly string[]): Promise<string>
  /** Runs a program there that reads `input`. */
  runWith(input: string, command: string, ...args: readonly string[]): Promise<string>
}

/** One tool, used as people use it. Fails by throwing. */
export interface ToolCase {
  /** Also the name of its directory. */
  readonly name: string
  /** What it needs: program, and the Debian package that has it. */
  readonly tools: Readonly<Record<string, string>>
  /** Uses the tool on an empty directory and checks what it did. */
  fill(c: ToolContext): Promise<void>
  /** Checks again, after a restart. Changes nothing but the scratch, so that it may be repeated. */
  verify(c: ToolContext): Promise<void>
}

/** The context of a case. */
export class ToolDirectory implements ToolContext {
  readonly directory: string
  readonly native: string
  readonly scratch: string

  /** Makes the native folder. */
  constructor(directories: {
    readonly directory: string
    readonly native: string
    readonly scratch: string
  }) {
    this.directory = directories.directory
    this.native = directories.native
    this.scratch = directories.scratch
    mkdirSync(this.native, { recursive: true })
  }

  /** See {@link ToolContext.path}. */
  path(...names: readonly string[]): string {
    return join(this.directory, ...names)
  }

  /** See {@link ToolContext.run}. */
  async run(command: string, ...args: readonly string[]): Promise<string> {
    return this.runWith('', command, ...args)
  }

  /** See {@link ToolContext.runWith}. */
  async runWith(input: string, command: string, ...args: readonly string[]): Promise<string> {
    return runProgram(command, args, {
      cwd: this.directory,
      input,
      deadlineMs: 60_000,
      env: {
        HOME: this.native,
        // Looking at a repository must not write to it.
        GIT_OPTIONAL_LOCKS: '0',
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_CONFIG_GLOBAL: join(this.native, 'gitconfig')
      }
    })
  }
}
