/**
 * How fast is a long file written, chunk after chunk, up to close?
 *
 * @module
 */
import { join } from 'node:path'
import { askClient, STREAM_SPEED, type Question } from '../question.ts'

/** Writing a stream, each round to a new file. */
export const writeStream: Question = {
  id: 'write-stream',
  title: 'sequential write',
  unit: STREAM_SPEED,
  goal: { against: 'gocryptfs', speedMin: 0.4, words: 'at least 0.4 × gocryptfs' },
  cold: false,
  ask: ({ directory, number, scale }) =>
    askClient({
      operation: 'write-stream',
      path: join(directory, `round-${number}`),
      warm: join(directory, `warm-${number}`),
      chunks: scale.chunks,
      durable: false
    })
}
