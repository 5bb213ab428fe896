/**
 * Lines that a person types on a terminal: hidden ones, as bytes that can be wiped and never as
 * strings, and shown ones.
 *
 * @module
 */

const BACKSPACE = 0x08
const DELETE = 0x7f
const CONTROL_C = 0x03
const CONTROL_D = 0x04
const CONTROL_U = 0x15
const LINE_FEED = 0x0a
const RETURN = 0x0d

/** What a keyboard must be able to do: a terminal's standard input can. */
export interface Keyboard {
  /** Whether a person types here. */
  readonly isTTY?: boolean
  /** Stops the terminal from echoing and from editing the line. */
  setRawMode?(raw: boolean): unknown
  /** Hears bytes as they are typed. */
  on(event: 'data', listener: (chunk: Buffer) => void): unknown
  /** Hears that nothing more will come. */
  on(event: 'end', listener: () => void): unknown
  /** Stops hearing. */
  removeListener(event: 'data', listener: (chunk: Buffer) => void): unknown
  /** Stops hearing. */
  removeListener(event: 'end', listener: () => void): unknown
  /** Lets bytes come. */
  resume(): unknown
  /** Holds bytes back. */
  pause(): unknown
}

/** What lines are read with. */
export interface LineReaderParts {
  /** Standard input, a terminal. */
  readonly keyboard: Keyboard
  /** Shows a prompt; standard error, so that output can be piped. */
  readonly show: (text: string) => void
  /** How many bytes of a line are kept; those after them are ignored. */
  readonly lineBytesMax: number
  /** What to throw when the person gives up or nothing more comes. */
  readonly cancelled: () => Error
}

/** Reads one line after another. */
export class LineReader {
  readonly #parts: LineReaderParts
  /** What was typed or pasted after the line that was last returned. */
  #ahead: Buffer = Buffer.alloc(0)

  /** @param parts - borrowed */
  constructor(parts: LineReaderParts) {
    this.#parts = parts
  }

  /**
   * Reads a line that is not shown while it is typed.
   *
   * @returns bytes for the caller to wipe; one byte more than the longest line when it is longer
   * @throws what `cancelled` gives
   */
  async readHidden(prompt: string): Promise<Uint8Array> {
    const { keyboard, show } = this.#parts
    show(prompt)
    keyboard.setRawMode?.(true)
    try {
      return await this.#line()
    } finally {
      keyboard.setRawMode?.(false)
      show('\n')
    }
  }

  /** Reads a line that is shown while it is typed; see {@link LineReader.readHidden}. */
  async readShown(prompt: string): Promise<string> {
    const { keyboard, show } = this.#parts
    // Shown by hand, so that an interrupt is heard as it is when nothing is shown.
    const echo = (chunk: Buffer): void => show(chunk.toString('utf8').replace(/\p{Cc}/gu, ''))
    keyboard.on('data', echo)
    try {
      return Buffer.from(await this.readHidden(prompt)).toString('utf8')
    } finally {
      keyboard.removeListener('data', echo)
    }
  }

  #line(): Promise<Uint8Array> {
    const { keyboard, lineBytesMax, cancelled } = this.#parts
    const line = new TypedLine(lineBytesMax)
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        keyboard.removeListener('data', hear)
        keyboard.removeListener('end', ended)
        // At once: what comes before the next line is asked for would be heard by nobody.
        keyboard.pause()
      }
      const ended = (): void => {
        stop()
        reject(cancelled())
      }
      const hear = (chunk: Buffer): void => {
        const outcome = line.type(chunk)
        if (outcome === 'more') return
        stop()
        if (outcome === 'cancelled') return reject(cancelled())
        this.#ahead = Buffer.from(chunk.subarray(outcome.used))
        chunk.fill(0)
        resolve(line.take())
      }
      keyboard.on('data', hear)
      keyboard.on('end', ended)
      const ahead = this.#ahead
      this.#ahead = Buffer.alloc(0)
      if (ahead.length > 0) hear(ahead)
      keyboard.resume()
    })
  }
}

/** The line being typed, edited as a terminal would. */
class TypedLine {
  readonly #bytes: Uint8Array
  #length = 0

  constructor(bytesMax: number) {
    this.#bytes = new Uint8Array(bytesMax)
  }

  type(chunk: Uint8Array): 'more' | 'cancelled' | { readonly used: number } {
    for (const [at, byte] of chunk.entries()) {
      if (byte === CONTROL_C) return 'cancelled'
      if (byte === RETURN || byte === LINE_FEED || byte === CONTROL_D) return { used: at + 1 }
      if (byte === CONTROL_U) this.#length = 0
      else if (byte === BACKSPACE || byte === DELETE) this.#eraseCharacter()
      else if (this.#length < this.#bytes.length) this.#bytes[this.#length++] = byte
    }
    return 'more'
  }

  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length)
    this.#bytes.fill(0)
    return taken
  }

  /** Takes back one character, which in UTF-8 is a byte and the continuation bytes after it. */
  #eraseCharacter(): void {
    while (this.#length > 0) {
      const byte = this.#bytes[--this.#length] ?? 0
      if ((byte & 0xc0) !== 0x80) return
    }
  }
}
