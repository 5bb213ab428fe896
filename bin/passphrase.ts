/**
 * Passphrases: from the file that `GROVE_PASSPHRASE_FILE` names, or typed without echo.
 *
 * A passphrase is bytes from the keyboard to the key derivation and never a string, so that it
 * can be wiped by whoever asked for it; it is never taken from the command line.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { GroveError } from './grove-error.ts'
import type { Environment } from './home.ts'

/** The longest passphrase, in bytes. */
export const PASSPHRASE_BYTES_MAX = 1024

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

/** Where passphrases come from. */
export interface PassphraseSource {
  /** Names the file, if there is one. */
  readonly environment: Environment
  /** Standard input. */
  readonly keyboard: Keyboard
  /** Shows a prompt; standard error, so that output can be piped. */
  readonly show: (text: string) => void
}

/**
 * Gets the passphrase of an existing key file.
 *
 * @returns bytes for the caller to wipe
 * @throws {GroveError} `PASSPHRASE` when there is no file and no terminal
 */
export async function askPassphrase(source: PassphraseSource): Promise<Uint8Array> {
  const fromFile = await passphraseFromFile(source.environment)
  return fromFile ?? new LineReader(source).read('Passphrase: ')
}

/**
 * Gets a new passphrase; typed twice on a terminal.
 *
 * @returns bytes for the caller to wipe
 * @throws {GroveError} `PASSPHRASE` when it is empty, or the two differ
 */
export async function chooseNewPassphrase(source: PassphraseSource): Promise<Uint8Array> {
  const fromFile = await passphraseFromFile(source.environment)
  if (fromFile !== undefined) return fromFile
  const reader = new LineReader(source)
  const first = await reader.read('New passphrase: ')
  const second = await reader.read('The same again: ')
  const equal = Buffer.compare(first, second) === 0
  second.fill(0)
  if (equal) return first
  first.fill(0)
  throw new GroveError('PASSPHRASE', 'the two passphrases differ; try again')
}

/** Whether the environment names a passphrase file. */
export function hasPassphraseFile(environment: Environment): boolean {
  return (environment['GROVE_PASSPHRASE_FILE'] ?? '') !== ''
}

async function passphraseFromFile(environment: Environment): Promise<Uint8Array | undefined> {
  const path = environment['GROVE_PASSPHRASE_FILE']
  if (path === undefined || path === '') return undefined
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    throw new GroveError(
      'PASSPHRASE',
      `cannot read the passphrase file ${path}; mend GROVE_PASSPHRASE_FILE`,
      { cause: error }
    )
  }
  let end = bytes.length
  if (bytes[end - 1] === LINE_FEED) end--
  if (bytes[end - 1] === RETURN) end--
  const passphrase = Uint8Array.prototype.slice.call(bytes, 0, end)
  bytes.fill(0)
  return checked(passphrase, `the passphrase file ${path}`)
}

/** Reads lines that a person types, without showing them. */
class LineReader {
  readonly #source: PassphraseSource
  /** What was typed or pasted after the line that was last returned. */
  #ahead: Buffer = Buffer.alloc(0)

  constructor(source: PassphraseSource) {
    this.#source = source
  }

  async read(prompt: string): Promise<Uint8Array> {
    const { keyboard, show } = this.#source
    if (keyboard.isTTY !== true)
      throw new GroveError(
        'PASSPHRASE',
        'a passphrase is needed and there is no terminal to ask on; set GROVE_PASSPHRASE_FILE to a file that holds it'
      )
    show(prompt)
    keyboard.setRawMode?.(true)
    try {
      return checked(await this.#line(), 'the passphrase')
    } finally {
      keyboard.setRawMode?.(false)
      keyboard.pause()
      show('\n')
    }
  }

  #line(): Promise<Uint8Array> {
    const { keyboard } = this.#source
    const line = new TypedLine()
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        keyboard.removeListener('data', hear)
        keyboard.removeListener('end', ended)
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
  readonly #bytes = new Uint8Array(PASSPHRASE_BYTES_MAX + 1)
  #length = 0

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

function checked(passphrase: Uint8Array, what: string): Uint8Array {
  if (passphrase.length === 0) throw new GroveError('PASSPHRASE', `${what} is empty`)
  if (passphrase.length <= PASSPHRASE_BYTES_MAX) return passphrase
  passphrase.fill(0)
  throw new GroveError('PASSPHRASE', `${what} is longer than ${PASSPHRASE_BYTES_MAX} bytes`)
}

function cancelled(): GroveError {
  return new GroveError('PASSPHRASE', 'no passphrase was given')
}
