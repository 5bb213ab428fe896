/**
 * One holder beside a fleet: a home and its `grove host`, a machine of its own as far as copies go.
 *
 * @module
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { COMMAND, inNamespace, type DevicePlace } from './device.ts'

/** A running holder. */
export class Holder {
  /** What lets a person use it, once. */
  readonly code: string
  readonly #child: ChildProcess

  private constructor(code: string, child: ChildProcess) {
    this.code = code
    this.#child = child
  }

  /** Starts one. @param space - how much it keeps at most, as the command takes it */
  static async start(
    name: string,
    {
      base,
      place,
      space
    }: { readonly base: string; readonly place: DevicePlace; readonly space: string }
  ): Promise<Holder> {
    const { program, args } = inNamespace(place.namespace, [
      ...[process.execPath, COMMAND, 'host', '--space', space, '--name', name],
      ...['--foreground', '--json']
    ])
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        ...place.environment,
        GROVE_HOME: join(base, `${name}-home`),
        GROVE_MACHINE: name
      }
    })
    const [line] = (await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(() => {
        throw new Error(`the holder ${name} does not start`)
      })
    ])) as [Buffer]
    const { code } = JSON.parse(line.toString()) as { code: string }
    return new Holder(code, child)
  }

  /** Ends it: in good order, or as a power cut would. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill(signal)
    await ended
  }
}
