/**
 * How fast is a long file read again, right after it was read?
 *
 * @module
 */
import { askClient, STREAM_SPEED, type Question } from '../question.ts'
import { makeStreams, streamsOf } from './streams.ts'

/** Reading a stream the second time. */
export const readStreamAgain: Question = {
  id: 'read-stream-again',
  title: 're-read',
  unit: STREAM_SPEED,
  cold: false,
  prepare: makeStreams,
  ask: round => askClient({ operation: 'read-stream', ...streamsOf(round), again: true })
}
