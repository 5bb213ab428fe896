/**
 * How long does it take until 4 KiB are safe: write and fsync?
 *
 * @module
 */
import { join } from 'node:path'
import { askClient, type Question } from '../question.ts'

/** Appending 4 KiB and making it durable, each round to a new file. */
export const fsync: Question = {
  id: 'fsync',
  title: 'write 4 KiB and fsync',
  unit: { name: 'µs', of: (seconds, scale) => (seconds * 1e6) / scale.syncs },
  goal: { against: 'native', speedMin: 1 / 8, words: 'at most 8 × the time of native' },
  cold: false,
  ask: ({ directory, number, scale }) =>
    askClient({
      operation: 'fsync',
      path: join(directory, `round-${number}`),
      warm: join(directory, `warm-${number}`),
      count: scale.syncs
    })
}
