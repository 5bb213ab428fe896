/**
 * Logs by small numbers within one entry, so that an operation identity takes a few bytes and
 * not forty.
 *
 * Number 0 is the entry's own log and is not listed. Number 1 is {@link ROOT_LOG}, not listed
 * either. The logs of the table follow from number 2 on.
 *
 * @module
 */
import { malformed, type ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import { LOG_KEY_BYTES, type LogKey } from './log.ts'
import { ROOT_LOG } from './operation.ts'

/** The number of the entry's own log. */
export const OWN_LOG_NUMBER = 0
/** The number of the log that only the root directory's identity names. */
export const ROOT_LOG_NUMBER = 1

const LISTED_FROM = 2
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** The numbers of one entry's logs. */
export class LogTable {
  readonly #logs: LogKey[]
  readonly #numbers: Map<LogKey, number>
  readonly #used = new Set<number>()

  /** @param own - the entry's own log */
  constructor(own: LogKey) {
    this.#logs = [own, ROOT_LOG]
    this.#numbers = new Map([[own, OWN_LOG_NUMBER]])
  }

  /** How many logs have a number. */
  get count(): number {
    return this.#logs.length
  }

  /** Takes back all but the first `count` numbers. */
  truncate(count: number): void {
    for (const log of this.#logs.splice(count)) this.#numbers.delete(log)
  }

  /** How many bytes {@link LogTable.write} writes at most. */
  get byteLength(): number {
    return 4 + (this.#logs.length - LISTED_FROM) * LOG_KEY_BYTES
  }

  /**
   * @returns the log's number, a new one if it has none yet
   * @throws {RangeError} for {@link ROOT_LOG}, which is no log
   */
  numberOf(log: LogKey): number {
    if (log === ROOT_LOG) throw new RangeError('the log of the root is no log')
    const known = this.#numbers.get(log)
    if (known !== undefined) return known
    const number = this.#logs.push(log) - 1
    this.#numbers.set(log, number)
    return number
  }

  /** @returns the log of that number. @throws {SyncError} `MALFORMED` when there is none */
  logAt(number: number): LogKey {
    const log = this.#logs[number]
    if (log === undefined || log === ROOT_LOG) throw malformed('a log number is not in the table')
    if (number >= LISTED_FROM) this.#used.add(number)
    return log
  }

  /** Appends the listed logs. */
  write(writer: ByteWriter): void {
    writer.varint(this.#logs.length - LISTED_FROM)
    for (let i = LISTED_FROM; i < this.#logs.length; i++) writer.bytes(bytesOf(this.#logs[i] ?? ''))
  }

  /** Takes the listed logs of an entry. */
  static read(reader: ByteReader, own: LogKey): LogTable {
    const table = new LogTable(own)
    const count = reader.count(LOG_KEY_BYTES)
    for (let i = 0; i < count; i++) {
      const log = hexOf(reader.bytes(LOG_KEY_BYTES))
      if (log === ROOT_LOG) throw malformed('the log of the root is listed')
      const number = table.numberOf(log)
      if (number !== LISTED_FROM + i) throw malformed('a log is listed twice')
    }
    return table
  }

  /** Checks, when the entry has been read, that it needed every log it lists. */
  end(): void {
    if (this.#used.size < this.#logs.length - LISTED_FROM) {
      throw malformed('a log is listed and not used')
    }
  }
}

function hexOf(bytes: Uint8Array): LogKey {
  let hex = ''
  for (const byte of bytes) hex += HEX[byte]
  return hex as LogKey
}

function bytesOf(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)
  return bytes
}
