/**
 * Runs a TypeScript file of the tests in a process of its own.
 *
 * @module
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** How long a child may run, in milliseconds. */
const CHILD_MS_MAX = 60_000

/** A process that was started, and what becomes of it. */
export interface Child {
  /** The process. */
  readonly process: ChildProcess
  /** Resolves with everything it printed, and how it ended. */
  readonly ended: Promise<{ stdout: string; stderr: string; code: number | null }>
  /** Resolves when it has printed a line that begins so; rejects when it ends before. */
  line(prefix: string): Promise<string>
}

/**
 * Starts a child process; it is killed when it runs for too long.
 *
 * @param file - the TypeScript file
 * @param wrapper - a command to run it under, such as `unshare -m`
 */
export function runChild(
  file: URL,
  args: readonly string[] = [],
  wrapper: readonly string[] = []
): Child {
  const command = [...wrapper, process.execPath, ...process.execArgv, fileURLToPath(file), ...args]
  const [program = process.execPath, ...rest] = command
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], timeout: CHILD_MS_MAX })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  const ended = new Promise<{ stdout: string; stderr: string; code: number | null }>(
    (resolve, reject) => {
      child.once('error', reject)
      child.once('close', code => resolve({ stdout, stderr, code }))
    }
  )
  const line = (prefix: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = stdout
          .split('\n')
          .slice(0, -1)
          .find(text => text.startsWith(prefix))
        if (found !== undefined) resolve(found)
      }
      child.stdout.on('data', look)
      look()
      ended.then(
        ({ code }) => reject(new Error(`ended with ${String(code)} first: ${stderr}`)),
        reject
      )
    })
  return { process: child, ended, line }
}
