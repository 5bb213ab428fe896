/**
 * A mounted {@link MemoryVfs} for tests, served by another process, and the programs that use
 * it, each in a process of its own that is killed when it takes too long.
 *
 * @module
 */
import { spawn, fork, type ChildProcess } from 'node:child_process'
import type fs from 'node:fs'
import { accessSync, constants, existsSync, mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as setTimeoutPromise } from 'node:timers/promises'
import type { NotifierStatus } from '../../src/fs/fuse/linux/fuse-notifier.ts'
import { ADDON_PATH } from '../../src/fs/fuse/linux/fuse-device.ts'

/** How long a program may take on a mount, in milliseconds. */
export const PROGRAM_MS_MAX = 20_000
/** How long the serving process may take to answer, in milliseconds. */
const SERVER_MS_MAX = 20_000

/** What the serving process knows. */
export interface ServerState {
  /** Requests of each kind so far. */
  readonly requests: Readonly<Record<string, number>>
  /** How often the driver said that operations were served. */
  readonly served: number
  /** Inodes that exist. */
  readonly inodes: number
  /** Files and directories that are open. */
  readonly handles: number
  /** Reads that wait. */
  readonly waiting: number
  /** How often the kernel knows the root. */
  readonly rootRemembered: number
  /** Notifications. */
  readonly notifier: NotifierStatus
  /** Faults that were reported. */
  readonly reports: readonly string[]
}

/** Options of a test that needs a mount: it is skipped, with the reason, where there is none. */
export function ifMountable(): { readonly skip: string | false } {
  const skip = whyNoMount()
  return { skip }
}

/** The same for a test that only root can do. */
export function ifMountableAsRoot(): { readonly skip: string | false } {
  const isRoot = process.geteuid?.() === 0
  const skip = whyNoMount() === false && !isRoot ? 'only root can do this' : whyNoMount()
  return { skip }
}

function whyNoMount(): string | false {
  if (!existsSync(join(import.meta.dirname, '../..', ADDON_PATH)))
    return 'the native part is not built: npm run build'
  if (!existsSync('/dev/fuse')) return '/dev/fuse is missing'
  if (process.geteuid?.() === 0) {
    try {
      accessSync('/dev/fuse', constants.R_OK | constants.W_OK)
    } catch {
      return '/dev/fuse may not be opened'
    }
    return false
  }
  return existsSync('/usr/bin/fusermount3') ? false : 'fusermount3 is missing'
}

/** Which driver serves a mount. */
export type MemoryMountDriver = 'linux' | 'fuse-native'

/** How a mount is made. */
export interface MemoryMountOptions {
  /** By which driver; the linux driver unless told otherwise. */
  readonly driver?: MemoryMountDriver
  /** Refuse writes. */
  readonly readOnly?: boolean
  /** Let other users in. */
  readonly allowOther?: boolean
  /** Serve as this user and group. */
  readonly user?: number
  /** The program that serves, beside this one; a {@link MemoryVfs} unless told otherwise. */
  readonly program?: 'memory-mount-process.ts' | 'drive-mount-process.ts'
  /** Mount here instead of in a fresh directory. */
  readonly directory?: string
}

/** Answers of the serving process that are waited for, by their number. */
type Waiting = Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>

/** A mount that another process serves. */
export class MemoryMount {
  /** Where. */
  readonly directory: string
  /** The process that serves. */
  readonly server: ChildProcess
  readonly #waiting: Waiting = new Map()
  #commands = 0

  private constructor(directory: string, server: ChildProcess) {
    this.directory = directory
    this.server = server
    server.on('message', (message: unknown) => {
      const { id, result, error } = message as {
        id: number
        result?: unknown
        error?: { message: string; code?: string }
      }
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(result)
      else waiting?.reject(Object.assign(new Error(error.message), { code: error.code }))
    })
    server.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the server has ended'))
      this.#waiting.clear()
    })
  }

  /** Starts a process that mounts a fresh file system. */
  static async start(options: MemoryMountOptions = {}): Promise<MemoryMount> {
    const { readOnly = false, allowOther = false, driver = 'linux', user } = options
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'grove-mount-'))
    const program = join(import.meta.dirname, options.program ?? 'memory-mount-process.ts')
    const settings = JSON.stringify({ readOnly, allowOther, driver })
    const server = fork(program, [directory, settings], {
      execArgv: typescriptArguments(),
      cwd: '/',
      // What the test runner adds would have the process write where its user may not.
      env: { PATH: process.env['PATH'], TS_NODE_TRANSPILE_ONLY: '1' },
      ...(user !== undefined && { uid: user, gid: user })
    })
    const mount = new MemoryMount(directory, server)
    try {
      await mount.#answer(0)
    } catch (error) {
      server.kill('SIGKILL')
      throw error
    }
    return mount
  }

  /** Has the serving process do something. */
  async command(command: string, ...args: readonly unknown[]): Promise<unknown> {
    const id = ++this.#commands
    this.server.send({ id, command, args })
    return this.#answer(id)
  }

  /** What the serving process knows now. */
  async state(): Promise<ServerState> {
    return (await this.command('state')) as ServerState
  }

  /** How many requests of each kind `action` makes. */
  async requestsOf(action: () => Promise<unknown>): Promise<Record<string, number>> {
    const before = (await this.state()).requests
    await action()
    const after = (await this.state()).requests
    return Object.fromEntries(
      Object.entries(after)
        .map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
        .filter(([, count]) => count > 0)
    )
  }

  /** Unmounts, whatever state the mount is in, ends the process and removes the directory. */
  async stop(): Promise<void> {
    if (this.server.exitCode === null && this.server.signalCode === null) {
      if (this.server.connected) await this.command('unmount', true).catch(() => undefined)
      const ended = new Promise(resolve => this.server.once('exit', resolve))
      this.server.kill('SIGKILL')
      await ended
    }
    await run('umount', ['-l', this.directory]).catch(() => undefined)
    rmdirSync(this.directory)
  }

  async #answer(id: number): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      const late = (): void => reject(new Error(`the server does not answer command ${id}`))
      timer = setTimeout(late, SERVER_MS_MAX)
    })
    return answer.finally(() => clearTimeout(timer))
  }
}

/** Runs a program to its end and gives what it wrote. @throws {Error} when it fails or is late */
export async function run(
  program: string,
  args: readonly string[],
  options: { readonly timeoutMs?: number; readonly user?: number } = {}
): Promise<string> {
  const { user, timeoutMs = PROGRAM_MS_MAX } = options
  const child = spawn(program, args, {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(user !== undefined && { uid: user, gid: user })
  })
  let [output, errors] = ['', '']
  child.stdout.on('data', (text: Buffer) => (output += text.toString('latin1')))
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()))
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${program} takes too long`))
    }, timeoutMs)
    child.once('error', reject)
    child.once('close', code => {
      clearTimeout(timer)
      if (code === 0) resolve(output)
      else reject(new Error(`${program} ended with ${code}: ${errors}`))
    })
  })
}

/** What a function run by {@link inProcess} can use: it sees nothing of the test's scope. */
export type FileSystemModule = typeof fs

/**
 * Calls a function in a process of its own and gives its result, which must survive JSON. What
 * it throws arrives as an error with the same `code`.
 */
export async function inProcess<Args extends readonly unknown[], Result>(
  action: (fs: FileSystemModule, ...args: Args) => Result,
  ...args: Args
): Promise<Awaited<Result>> {
  const source = `
    const action = ${action.toString()}
    const print = value => require('node:fs').writeSync(1, JSON.stringify(value))
    Promise.resolve()
      .then(() => action(require('node:fs'), ...JSON.parse(process.argv[1])))
      .then(
        result => print({ result }),
        error => print({ error: { message: String(error.message), code: error.code } })
      )`
  const output = await run(process.execPath, ['-e', source, '--', JSON.stringify(args)])
  const { result, error } = JSON.parse(output) as {
    result: Awaited<Result>
    error?: { message: string; code?: string }
  }
  if (error !== undefined) throw Object.assign(new Error(error.message), { code: error.code })
  return result
}

/** Only what makes node run TypeScript; the rest of the runner's arguments writes to its folder. */
function typescriptArguments(): string[] {
  return process.execArgv.filter(argument => argument.includes('@tapjs/typescript'))
}

/** A wait for something that takes milliseconds, on a machine that is busy. */
const SOON_MS = 10_000

/** Waits until something is so. @throws {Error} when it is not in time */
export async function until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + SOON_MS; Date.now() < end; await setTimeoutPromise(10))
    if (await isSo()) return
  throw new Error(`not in time: ${what}`)
}

/** Has the kernel give up what it caches: pages, names and inodes. Only root may. */
export async function dropCaches(): Promise<void> {
  await run('sh', ['-c', 'echo 3 > /proc/sys/vm/drop_caches'])
}
