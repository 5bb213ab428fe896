/**
 * The program that uses a mounted folder, as the test that starts it has it: calls and answers.
 * See `mount-client-process.ts`.
 *
 * @module
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** How long a call may take, in milliseconds. */
export const CALL_MS_MAX = 30_000

const SCRIPT = fileURLToPath(new URL('./mount-client-process.ts', import.meta.url))

interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

type Answer = { readonly value: unknown } | { readonly error: string }

/** A running program. */
export class MountClient {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #waiters: Waiter[] = []

  /** Starts it. @param directory - the mounted folder, or one in it */
  constructor(directory: string) {
    // What Node needs to run TypeScript, without what would count the child as a test.
    const loader = process.execArgv.filter(argument => argument.includes('typescript'))
    const { NODE_OPTIONS: _, ...env } = process.env
    const args = [...loader, SCRIPT, directory]
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'], env })
    this.#child.stdin.on('error', () => undefined)
    createInterface({ input: this.#child.stdout }).on('line', line => {
      const answer = JSON.parse(line) as Answer
      const waiter = this.#waiters.shift()
      if ('error' in answer) waiter?.reject(new Error(answer.error))
      else waiter?.resolve(answer.value)
    })
    this.#child.once('close', () => {
      for (const { reject } of this.#waiters.splice(0)) reject(new Error('the program ended'))
    })
  }

  /** Has it do something. @throws {Error} what the call failed with, or that it took too long */
  async call(name: string, ...args: readonly unknown[]): Promise<unknown> {
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
    })
    this.#child.stdin.write(`${JSON.stringify([name, ...args])}\n`)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), CALL_MS_MAX)
    return answer.finally(() => clearTimeout(timer))
  }

  /** Ends it; whatever it had open is closed. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.stdin.end()
    await once(this.#child, 'close')
  }
}
