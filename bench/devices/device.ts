/**
 * One device of a fleet: a home, its daemon and its mount, driven through the `grove` command.
 *
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pause, run } from '../command.ts'

/** The built command; this file runs as dist/bench/devices/device.js. */
export const COMMAND = fileURLToPath(new URL('../../../dist/bin/grove.js', import.meta.url))

/** How long a command of a device may take, in milliseconds. */
export const DEVICE_COMMAND_MS_MAX = 600_000

/** Clock ticks of /proc a second; fixed on Linux. */
const TICKS_PER_SEC = 100

/** The nice value of those who come last. */
const NICE_MAX = 19
const AUTOGROUPS_FILE = '/proc/sys/kernel/sched_autogroup_enabled'

/** Where a device runs. */
export interface DevicePlace {
  /** A network namespace; absent for this machine's own network. */
  readonly namespace?: string
  /** GROVE_* variables. */
  readonly environment: Readonly<Record<string, string>>
}

/** A device with a home and a folder of its own. */
export class Device {
  /** What it is called. */
  readonly name: string
  /** Where it mounts. */
  readonly directory: string
  readonly #home: string
  readonly #place: DevicePlace

  private constructor(name: string, base: string, place: DevicePlace) {
    this.name = name
    this.directory = join(base, name)
    this.#home = join(base, `${name}-home`)
    this.#place = place
  }

  /** Makes the folders; the drive is made by {@link Device.grove} `init` or `join`. */
  static async make(name: string, base: string, place: DevicePlace): Promise<Device> {
    if (!existsSync(COMMAND)) throw new Error('Grove is not built: run "npm run build"')
    const device = new Device(name, base, place)
    await mkdir(device.directory)
    return device
  }

  /** Runs a command on the home. @returns what it printed */
  grove(...args: readonly string[]): Promise<string> {
    const { program, args: all } = inNamespace(this.#place.namespace, [
      process.execPath,
      COMMAND,
      ...args
    ])
    const env = { GROVE_HOME: this.#home, GROVE_MACHINE: this.name, ...this.#place.environment }
    return run(program, all, { env, timeoutMs: DEVICE_COMMAND_MS_MAX })
  }

  /** Mounts. */
  async mount(): Promise<void> {
    await this.grove('mount', this.directory)
  }

  /** Unmounts and ends the daemon. */
  async stop(): Promise<void> {
    await this.grove('stop')
  }

  /** What `grove status --json` says. */
  async status(): Promise<Readonly<Record<string, unknown>>> {
    return JSON.parse(await this.grove('status', '--json')) as Record<string, unknown>
  }

  /**
   * Leaves the processors to others. A daemon has a session of its own, and sessions share
   * processors by their autogroup, as long as no cgroup does (sched(7)).
   *
   * @throws {Error} where the kernel has no autogroups, or they are off
   */
  async leaveProcessors(): Promise<void> {
    if ((await readFile(AUTOGROUPS_FILE, 'latin1')).trim() !== '1') throw new Error('no autogroups')
    // Not asked of a command, which would take a processor itself.
    const { pid } = JSON.parse(await readFile(join(this.#home, 'lock'), 'utf8')) as { pid: number }
    await writeFile(`/proc/${String(pid)}/autogroup`, String(NICE_MAX))
  }

  /** Processor time that the daemon has used, in seconds. */
  async processorSec(): Promise<number> {
    const { pid } = await this.status()
    const fields = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
      .split(') ')[1]
      ?.split(' ')
    return (Number(fields?.[11]) + Number(fields?.[12])) / TICKS_PER_SEC
  }
}

/** A command line that runs in a namespace; mounts stay visible outside. */
export function inNamespace(
  namespace: string | undefined,
  line: readonly string[]
): { readonly program: string; readonly args: readonly string[] } {
  const all = namespace === undefined ? line : ['nsenter', `--net=/run/netns/${namespace}`, ...line]
  const [program = '', ...args] = all
  return { program, args }
}

/** Asks again and again until the answer is yes. @throws {Error} after `msMax` milliseconds */
export async function eventually(
  what: string,
  msMax: number,
  ask: () => Promise<boolean>
): Promise<void> {
  const end = performance.now() + msMax
  while (!(await ask())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${msMax} ms`)
    await pause(20)
  }
}
