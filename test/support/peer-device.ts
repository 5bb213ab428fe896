/**
 * Devices in processes of their own, for tests that cut networks or end processes.
 *
 * @module
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { ChildDevice } from './peer-network-child.ts'

const child = fileURLToPath(new URL('peer-network-child.ts', import.meta.url))

/** A process that plays a device. */
export class PeerDevice {
  /** The seeds of the devices it is connected to. */
  readonly connected = new Set<number>()
  /** Everything it printed, by line. */
  readonly lines: string[] = []
  readonly #process: ChildProcessByStdio<Writable, Readable, null>
  readonly #ended: Promise<unknown>

  /** @param wrapper - a command to run it under */
  constructor(device: ChildDevice, wrapper: readonly string[] = []) {
    const command = [...wrapper, process.execPath, ...process.execArgv, child]
    const [program = process.execPath, ...rest] = command
    const args = [...rest, JSON.stringify(device)]
    this.#process = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#ended = once(this.#process, 'close')
    let text = ''
    this.#process.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (text + chunk).split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) this.#read(line)
    })
  }

  /** How it ended; null while it runs. */
  get exitCode(): number | null {
    return this.#process.exitCode
  }

  /** Asks it to end, and waits until nothing keeps it alive any more. */
  async end(): Promise<void> {
    this.#process.stdin.end()
    await this.#ended
  }

  /** Ends it without a goodbye (`kill -9`). */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#ended
  }

  #read(line: string): void {
    this.lines.push(line)
    const [, sign, seed] = /^([+-]) (\d+) /.exec(line) ?? []
    if (sign === '+') this.connected.add(Number(seed))
    if (sign === '-') this.connected.delete(Number(seed))
  }
}
