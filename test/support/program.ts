/**
 * Runs programs of the system, with a deadline. Only for processes that do not serve a mount.
 *
 * @module
 */
import { execFile, spawnSync } from 'node:child_process'

/** How long a program may take, if not told otherwise. */
const PROGRAM_MS_MAX = 30_000
/** How much a program may write. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
/** How many characters of its arguments an error shows. */
const SHOWN_ARGUMENTS_MAX = 300

/** How to run a program. */
export interface ProgramOptions {
  /** Where. */
  readonly cwd: string
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
  /** How long it may take; it is killed then. */
  readonly deadlineMs?: number
  /** What it reads on its standard input; nothing by default. */
  readonly input?: string
}

/**
 * Runs a program to its end.
 *
 * @returns its standard output
 * @throws with what it wrote when it exits with another code than 0 or takes too long
 */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions
): Promise<string> {
  return new Promise((resolve, reject) => {
    const execution = {
      cwd: options.cwd,
      timeout: options.deadlineMs ?? PROGRAM_MS_MAX,
      killSignal: 'SIGKILL' as const,
      maxBuffer: OUTPUT_BYTES_MAX,
      env: { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC', ...options.env }
    }
    const child = execFile(command, [...args], execution, (error, stdout, stderr) => {
      if (!error) {
        resolve(stdout)
        return
      }
      // An argument may be a whole script.
      const firstLines = args.map(argument => argument.trimStart().split('\n')[0] ?? '')
      const shown = `${command} ${firstLines.join(' ')}`.slice(0, SHOWN_ARGUMENTS_MAX)
      const why = error.killed === true ? 'killed at its deadline' : `exit ${String(error.code)}`
      reject(new Error(`${shown}: ${why}\n${stderr}${stdout.slice(-2000)}`))
    })
    // A program that ends without reading must not make this process fail.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(options.input ?? '')
  })
}

/** Where a program is, or undefined if it is not installed. */
export function programPath(program: string): string | undefined {
  const found = spawnSync('sh', ['-c', 'command -v "$0"', program], { encoding: 'utf8' })
  return found.status === 0 ? found.stdout.trim() : undefined
}
