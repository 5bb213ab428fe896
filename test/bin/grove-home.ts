/**
 * The built `grove` command on a home of its own, for tests that run the real thing. Whatever a
 * test leaves behind (a daemon, a mount) is ended and unmounted when it is over.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import type { DaemonStatus } from '../../bin/api.ts'
import { isProcessAlive } from '../../bin/process-alive.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** How long one command may take, in milliseconds. */
export const COMMAND_MS_MAX = 60_000

const PROGRAM = resolve(import.meta.dirname, '../../dist/bin/grove.js')

/** How a command ended. */
export interface Outcome {
  /** Its exit code; null when it was killed. */
  readonly code: number | null
  /** What it printed. */
  readonly stdout: string
  /** What it complained about. */
  readonly stderr: string
}

/** What to run a command with. */
export interface RunOptions {
  /** More environment variables. */
  readonly environment?: Readonly<Record<string, string>>
  /** Standard input; empty by default. */
  readonly input?: string
}

/** What is around a home. */
export interface World {
  /** Environment variables of every command. */
  readonly environment?: Readonly<Record<string, string>>
  /** A program and its arguments that start every other one, such as `ip netns exec NAME`. */
  readonly wrapper?: readonly string[]
}

/** Unless a test says otherwise nothing looks for the public network: there is nobody at port 1. */
const NO_NETWORK: World = {
  environment: { GROVE_LISTEN: '127.0.0.1', GROVE_BOOTSTRAP: '127.0.0.1:1' }
}

/** A home and the commands on it. */
export class GroveHome {
  /** A folder for everything of the test. */
  readonly folder: string
  /** The home. */
  readonly directory: string
  /** Where to mount. */
  readonly mountPoint: string
  readonly #pids = new Set<number>()
  readonly #world: World

  private constructor(folder: string, world: World) {
    this.folder = folder
    this.directory = join(folder, 'home')
    this.mountPoint = join(folder, 'drive')
    this.#world = world
  }

  /** Makes the folder, and sees to the end. */
  static async make(t: Test, world: World = {}): Promise<GroveHome> {
    if (!existsSync(PROGRAM)) throw new Error('the program is not built; run: npm run build')
    const home = new GroveHome(await temporaryFolder(t), { ...NO_NETWORK, ...world })
    t.teardown(() => home.#end())
    return home
  }

  /** Makes the folder and a drive. */
  static async initialised(t: Test, world: World = {}): Promise<GroveHome> {
    const home = await GroveHome.make(t, world)
    await home.succeed(['init', '--name', 'desk'])
    return home
  }

  /** Runs a command to its end. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const child = this.start(args, options)
    const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS_MAX)
    const output = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      child[name]?.on('data', chunk => (output[name] += String(chunk)))
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(options.input ?? '')
    await once(child, 'close')
    clearTimeout(timer)
    return { code: child.exitCode, ...output }
  }

  /** Runs a command that must succeed. */
  async succeed(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options)
    if (code === 0) return stdout
    throw new Error(`grove ${args.join(' ')} ended with ${code}: ${stderr}`)
  }

  /** Starts a command. */
  start(args: readonly string[], { environment = {} }: RunOptions = {}): ChildProcess {
    const [program, ...rest] = [...(this.#world.wrapper ?? []), process.execPath, PROGRAM, ...args]
    return spawn(program ?? process.execPath, rest, {
      cwd: this.folder,
      stdio: 'pipe',
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: this.folder,
        GROVE_HOME: this.directory,
        ...this.#world.environment,
        ...environment
      }
    })
  }

  /** Runs a command that must succeed, and reads its JSON. */
  async json(args: readonly string[], input = ''): Promise<unknown> {
    return JSON.parse(await this.succeed([...args, '--json'], { input })) as unknown
  }

  /** Mounts and remembers the daemon, so that the test's end ends it. */
  mount(...flags: readonly string[]): Promise<number> {
    return this.mountIn({}, ...flags)
  }

  /** The same, with more environment variables for the daemon. */
  async mountIn(
    environment: Readonly<Record<string, string>>,
    ...flags: readonly string[]
  ): Promise<number> {
    await this.succeed(['mount', ...flags, this.mountPoint], { environment })
    const { pid } = await this.status()
    this.#pids.add(pid)
    return pid
  }

  /** The running daemon's status. */
  async status(): Promise<DaemonStatus> {
    return JSON.parse(await this.succeed(['status', '--json'])) as DaemonStatus
  }

  /** Kills a daemon and waits until it is gone. */
  async kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    process.kill(pid, signal)
    await until(() => !isProcessAlive(pid), `process ${pid} ends`)
  }

  /** Writes a file through the mount, in another process. */
  async write(name: string, text: string): Promise<void> {
    const args = ['-c', 'cat > "$1"', 'sh', join(this.mountPoint, name)]
    const { code, stderr } = await runProgram('sh', args, text)
    if (code !== 0) throw new Error(`cannot write: ${stderr}`)
  }

  /** Reads a file through the mount, in another process. */
  async read(name: string): Promise<string> {
    const { code, stdout, stderr } = await runProgram('cat', [join(this.mountPoint, name)])
    if (code !== 0) throw new Error(`cannot read: ${stderr}`)
    return stdout
  }

  /** The daemon's log. */
  log(): Promise<string> {
    return readFile(join(this.directory, 'daemon.log'), 'utf8')
  }

  async #end(): Promise<void> {
    for (const pid of this.#pids) if (isProcessAlive(pid)) await this.run(['stop'])
    for (const pid of this.#pids) if (isProcessAlive(pid)) process.kill(pid, 'SIGKILL')
    if (await isMounted(this.mountPoint)) await this.run(['unmount', this.mountPoint])
    if (await isMounted(this.mountPoint)) await runProgram('umount', ['-l', this.mountPoint])
  }
}

/** Waits until something holds, but not for ever. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadlineMs = performance.now() + COMMAND_MS_MAX / 2
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain until ${what}`)
    await new Promise(wake => setTimeout(wake, 20))
  }
}

/** Whether something is mounted at a folder, asked of the kernel's table. */
export async function isMounted(directory: string): Promise<boolean> {
  const table = await readFile('/proc/self/mountinfo', 'utf8')
  return table.split('\n').some(line => line.split(' ')[4] === directory)
}

/** Runs another program, such as one that uses the mounted folder, outside of this process. */
export async function runProgram(
  program: string,
  args: readonly string[],
  input = ''
): Promise<Outcome> {
  const child = spawn(program, args, { stdio: 'pipe', timeout: COMMAND_MS_MAX })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', chunk => (output[name] += String(chunk)))
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  await once(child, 'close')
  return { code: child.exitCode, ...output }
}
