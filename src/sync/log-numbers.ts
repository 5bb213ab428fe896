/**
 * Small local numbers for logs, so that a row of the index names a log in a byte or two.
 * They mean nothing outside this index and are never part of what devices compare.
 *
 * @module
 */
import type { LogKey } from './log.ts'
import { ROOT_LOG } from './operation.ts'
import { SyncError } from './sync-error.ts'

/** How many logs an index can number. */
export const LOGS_MAX = 65_536

/** Numbers of logs, given out in order from 1; 0 is {@link ROOT_LOG}. */
export class LogNumbers {
  readonly #keys: LogKey[] = [ROOT_LOG]
  readonly #numbers = new Map<LogKey, number>([[ROOT_LOG, 0]])

  /** How many logs have a number. */
  get count(): number {
    return this.#keys.length
  }

  /** @returns the log's number, or undefined if it has none */
  find(key: LogKey): number | undefined {
    return this.#numbers.get(key)
  }

  /** @returns the number of a log that has one. @throws {SyncError} `MALFORMED` otherwise */
  numberOf(key: LogKey): number {
    const number = this.#numbers.get(key)
    if (number === undefined)
      throw new SyncError('MALFORMED', 'an operation names a log that is not known')
    return number
  }

  /** @returns the log of a number. @throws {SyncError} `DAMAGED` when there is none */
  keyOf(number: number): LogKey {
    const key = this.#keys[number]
    if (key === undefined) throw new SyncError('DAMAGED', 'a row of the index names an unknown log')
    return key
  }

  /** Gives a log the next number. */
  add(key: LogKey): number {
    if (this.#keys.length >= LOGS_MAX) throw new SyncError('MALFORMED', 'too many logs')
    const number = this.#keys.push(key) - 1
    this.#numbers.set(key, number)
    return number
  }
}
