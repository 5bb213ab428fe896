/**
 * Why a holder does not do what it was asked to, in the words of `grove holders` and `explain`.
 *
 * @module
 */
import type { ReplicationErrorCode } from '../src/replication/replication-error.ts'

/** What people are told of each refusal; of others they are told the code. */
const WORDS: Partial<Readonly<Record<ReplicationErrorCode, string>>> = {
  FULL: 'it has no more room for you',
  IMBALANCE:
    'it takes nothing new: it has kept so much more for you than you have kept for its owner',
  UNAVAILABLE: 'some blocks did not reach it in time; it is asked again',
  REFUSED: 'it turned the request down',
  KEEP_LOCKED: 'too few others could promise to keep it just then; it is tried again',
  NO_ANSWER: 'it did not answer in time; it is asked again',
  BAD_ANSWER: 'what it answered was not genuine',
  CLOSED: 'the connection broke off; it is asked again'
}

/** Says why. @param code - a {@link ReplicationErrorCode} */
export function refusalWords(code: string): string {
  return Object.hasOwn(WORDS, code) ? (WORDS[code as ReplicationErrorCode] ?? code) : code
}
