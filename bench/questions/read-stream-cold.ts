/**
 * How fast is a long file read for the first time, when nobody remembers it?
 *
 * @module
 */
import { askClient, STREAM_SPEED, type Question } from '../question.ts'
import { makeStreams, streamsOf } from './streams.ts'

/** Reading a stream once, after a remount. */
export const readStreamCold: Question = {
  id: 'read-stream-cold',
  title: 'first read',
  unit: STREAM_SPEED,
  goal: { against: 'gocryptfs', speedMin: 0.4, words: 'at least 0.4 × gocryptfs' },
  cold: true,
  prepare: makeStreams,
  ask: round => askClient({ operation: 'read-stream', ...streamsOf(round), again: false })
}
