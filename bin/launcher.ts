/**
 * A background daemon's side of its start: the keys come on standard input, what happens goes
 * to the `grove mount` that waits. See `launch-daemon.ts` for the other side.
 *
 * @module
 */
import { KEY_FILE_BYTES_MAX } from '../src/crypto/key-file.ts'
import { GroveError } from './grove-error.ts'
import { ALIVE_MS, type LaunchMessage } from './launch-message.ts'

/** The command that started this process and waits for it. */
export class Launcher {
  readonly #alive: NodeJS.Timeout

  /** Begins to say that this process is alive. */
  constructor() {
    this.#alive = setInterval(() => void this.tell({ kind: 'alive' }), ALIVE_MS)
    // The launcher may be interrupted; the daemon's fate does not hang on it from here on.
    process.on('error', () => undefined)
  }

  /** Reads the opened keys; the caller wipes them. @throws {GroveError} `USAGE` */
  async readKeys(): Promise<Uint8Array> {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > KEY_FILE_BYTES_MAX) break
      chunks.push(chunk)
    }
    const bytes = Buffer.concat(chunks)
    for (const chunk of chunks) chunk.fill(0)
    if (process.send !== undefined && bytes.length > 0) return bytes
    throw new GroveError('USAGE', '--launched is for `grove mount` itself; leave it out')
  }

  /** Tells it something; resolves when that was handed over or nobody listens any more. */
  tell(message: LaunchMessage): Promise<void> {
    return new Promise(resolve => {
      if (process.send === undefined || !process.connected) resolve()
      else process.send(message, undefined, {}, () => resolve())
    })
  }

  /** Lets it go. Idempotent. */
  leave(): void {
    clearInterval(this.#alive)
    if (process.connected) process.disconnect()
  }
}
