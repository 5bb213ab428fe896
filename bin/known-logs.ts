/**
 * What this device has learned of the other devices and their logs, so that it is known at the
 * next start, before any of them answers: their member statements and the announcements of their
 * log epochs.
 *
 * All of it is signed by whom it is about, public to the members, and verified again whenever it
 * is used. A pair of logs is written here before anything of it is merged: the index must never
 * know more than the next start can find.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { replaceFile } from './atomic-file.ts'
import { GroveError } from './grove-error.ts'

/** The largest file that is read, in bytes; more than the limits of members and pairs allow. */
export const KNOWN_LOGS_BYTES_MAX = 64 * 1024 * 1024

const VERSION = 1

/** What is kept. */
export interface Known {
  /** Encoded member statements, each after those that it rests on. */
  readonly statements: readonly Uint8Array[]
  /** Encoded announcements of the log epochs of other devices, in the order they were learned. */
  readonly announcements: readonly Uint8Array[]
}

/** The file; the caller holds the home's lock. */
export class KnownLogs {
  readonly #path: string
  readonly #lists: Record<keyof Known, Uint8Array[]>
  readonly #seen = new Set<string>()
  #isChanged = false
  #writing: Promise<void> = Promise.resolve()

  private constructor(path: string, known: Known) {
    this.#path = path
    this.#lists = { statements: [], announcements: [] }
    this.#addAll(known)
    this.#isChanged = false
  }

  /**
   * Reads the file; without one nothing is known.
   *
   * @throws {GroveError} `DAMAGED`, `NEWER_FORMAT`
   */
  static async open(path: string): Promise<KnownLogs> {
    return new KnownLogs(path, await readKnown(path))
  }

  /** What is known, in the order it was added. */
  get known(): Known {
    return this.#lists
  }

  /**
   * Adds what is new; durable when this resolves. Calls that come together share a write.
   *
   * @throws whatever the disk does; then a later call writes it
   */
  async add(more: Partial<Known>): Promise<void> {
    this.#addAll(more)
    const turn = this.#writing.then(async () => {
      if (!this.#isChanged) return
      this.#isChanged = false
      await this.#write()
    })
    this.#writing = turn.catch(() => undefined)
    await turn
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    await this.#writing
  }

  #addAll(more: Partial<Known>): void {
    for (const name of ['statements', 'announcements'] as const)
      for (const bytes of more[name] ?? []) {
        const text = base64(bytes)
        if (this.#seen.has(text)) continue
        this.#seen.add(text)
        this.#lists[name].push(bytes.slice())
        this.#isChanged = true
      }
  }

  async #write(): Promise<void> {
    const { statements, announcements } = this.#lists
    const value = {
      version: VERSION,
      statements: statements.map(base64),
      announcements: announcements.map(base64)
    }
    try {
      await replaceFile(this.#path, Buffer.from(`${JSON.stringify(value)}\n`))
    } catch (error) {
      this.#isChanged = true
      throw error
    }
  }
}

async function readKnown(path: string): Promise<Known> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return { statements: [], announcements: [] }
    throw damaged(path, error)
  }
  if (bytes.length > KNOWN_LOGS_BYTES_MAX) throw damaged(path)
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw damaged(path, error)
  }
  const { version, statements, announcements } = (value ?? {}) as Readonly<Record<string, unknown>>
  if (typeof version === 'number' && version > VERSION)
    throw new GroveError('NEWER_FORMAT', `${path} was made by a newer grove; update grove`)
  if (version !== VERSION || !isTexts(statements) || !isTexts(announcements)) throw damaged(path)
  return { statements: statements.map(fromBase64), announcements: announcements.map(fromBase64) }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(each => typeof each === 'string')
}

function damaged(path: string, cause?: unknown): GroveError {
  return new GroveError('DAMAGED', `${path} is damaged; restore it from a backup`, { cause })
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'))
}
