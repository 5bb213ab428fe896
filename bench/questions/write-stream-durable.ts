/**
 * How fast is a long file written when the clock stops only after its fsync?
 *
 * @module
 */
import { join } from 'node:path'
import { askClient, STREAM_SPEED, type Question } from '../question.ts'

/** Writing a stream and making it durable, each round to a new file. */
export const writeStreamDurable: Question = {
  id: 'write-stream-durable',
  title: 'sequential write and fsync',
  unit: STREAM_SPEED,
  cold: false,
  ask: ({ directory, number, scale }) =>
    askClient({
      operation: 'write-stream',
      path: join(directory, `round-${number}`),
      warm: join(directory, `warm-${number}`),
      chunks: scale.chunks,
      durable: true
    })
}
