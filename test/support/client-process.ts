/**
 * Runs a script of ours in a process of its own: the client side of a mount test. A process must
 * not wait on a mount that it serves, so whatever touches the mounted folder runs through here.
 *
 * The script reports a JSON value a line on its standard output. It has a deadline; after it, the
 * script and everything it started is killed, by the process group that was made for it.
 *
 * @module
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** How long a killed client may take to end: one that is stuck in the kernel never does. */
const KILL_MS_MAX = 5000
/** How much of the standard error is kept, in characters. */
const STDERR_CHARACTERS_MAX = 20_000

/** What to run. */
export interface ClientOptions {
  /** The script, a TypeScript file of this project. */
  readonly script: URL
  /** Its arguments. */
  readonly args: readonly string[]
  /** How long it may take. */
  readonly deadlineMs: number
  /** Told each value as it arrives. */
  readonly onValue?: (value: unknown) => void
}

/** What came of it. */
export interface ClientResult {
  /** The values it reported, in order. */
  readonly values: readonly unknown[]
  /** Its exit code; null when it was killed. */
  readonly exitCode: number | null
  /** Whether it was killed at its deadline. */
  readonly timedOut: boolean
  /** Whether it did not even end when killed: it is stuck in a call to the kernel. */
  readonly stuck: boolean
  /** What it wrote on its standard error. */
  readonly stderr: string
}

/** Runs a script and waits until it ends or its deadline has passed. */
export async function runClient(options: ClientOptions): Promise<ClientResult> {
  const child = spawn(
    process.execPath,
    [...loaderArguments(), fileURLToPath(options.script), ...options.args],
    { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: clientEnvironment() }
  )
  const values: unknown[] = []
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_CHARACTERS_MAX)
  })
  const noise: string[] = []
  createInterface({ input: child.stdout }).on('line', line => {
    const value = parsed(line)
    if (value === undefined) {
      noise.push(line)
      return
    }
    values.push(value)
    options.onValue?.(value)
  })

  const ended = exitOf(child)
  const inTime = await within(ended, options.deadlineMs)
  if (!inTime) kill(child)
  const exit = inTime ?? (await within(ended, KILL_MS_MAX))
  // A child in uninterruptible sleep must not keep the test alive.
  child.stdout.destroy()
  child.stderr.destroy()
  child.unref()
  if (noise.length > 0) throw new Error(`the client printed what is not JSON: ${noise[0]}`)
  return {
    values,
    exitCode: exit?.code ?? null,
    timedOut: !inTime,
    stuck: !exit,
    stderr
  }
}

/** What Node needs to run TypeScript, as the test runner gave it to us. */
function loaderArguments(): readonly string[] {
  return process.execArgv.filter(argument => argument.includes('typescript'))
}

/** Without the test runner's own hooks, which would count the child as a test. */
function clientEnvironment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...environment } = process.env
  return environment
}

async function exitOf(child: ChildProcess): Promise<{ readonly code: number | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    // Not `exit`: the last lines may still be in the pipe then.
    child.once('close', code => resolve({ code }))
  })
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Kills the group that was made for this child: itself and what it started. */
function kill(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended in between.
  }
}

/** @returns undefined when the line is not JSON */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line) as unknown
  } catch {
    return undefined
  }
}
