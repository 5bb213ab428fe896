/**
 * Runs other programs with a bound on how long they may take. The benchmark itself never touches
 * a mount: a dead one would hold it in the kernel for ever, whereas a child can be given up.
 *
 * @module
 */
import { spawn } from 'node:child_process'

/** How long a program may take unless the caller says otherwise. */
export const COMMAND_MS_MAX = 120_000

/** How long to wait for the rest of a program's output once it has ended. */
const OUTPUT_GRACE_MS = 200

/** A program could not be run, failed, or took too long. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** How to run a program. */
export interface CommandOptions {
  /** Milliseconds until it is killed; {@link COMMAND_MS_MAX} unless given. */
  readonly timeoutMs?: number
  /** Variables on top of this process's own. */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * Runs a program without a shell and waits for its end.
 *
 * @returns what it wrote to its standard output
 * @throws {CommandError} when it cannot be started, does not exit with 0 or is out of time
 */
export function run(
  command: string,
  args: readonly string[],
  options: CommandOptions = {}
): Promise<string> {
  const { timeoutMs = COMMAND_MS_MAX, env = {} } = options
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env }
    })
    const output: Buffer[] = []
    const errors: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk))
    const line = [command, ...args].join(' ')

    const settle = (failure: string | undefined): void => {
      clearTimeout(timer)
      // A program that left a daemon behind keeps the pipes open: let go of them.
      child.stdout.destroy()
      child.stderr.destroy()
      if (failure === undefined) resolve(Buffer.concat(output).toString())
      else reject(new CommandError(`${line}: ${failure}\n${Buffer.concat(errors).toString()}`))
    }
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      child.unref()
      settle(`no end after ${timeoutMs} ms`)
    }, timeoutMs)

    child.on('error', error => settle(error.message))
    child.on('exit', (code, signal) => {
      const failure = code === 0 ? undefined : `ended with ${signal ?? code}`
      const late = setTimeout(() => settle(failure), OUTPUT_GRACE_MS)
      child.on('close', () => {
        clearTimeout(late)
        settle(failure)
      })
    })
  })
}

/** Whether a program of this name can be started. */
export async function isInstalled(command: string): Promise<boolean> {
  return run('sh', ['-c', `command -v ${command}`]).then(
    () => true,
    () => false
  )
}

/** Resolves after a while. */
export function pause(delayMs: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, delayMs))
}
