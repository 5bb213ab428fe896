/**
 * How long does a new file of 4 KiB take: open, write, close?
 *
 * @module
 */
import { join } from 'node:path'
import { askClient, MICROSECONDS_PER_FILE, type Question } from '../question.ts'

/** Making small files, each round in a new folder. */
export const create: Question = {
  id: 'create',
  title: 'create 4 KiB',
  unit: MICROSECONDS_PER_FILE,
  goal: { against: 'gocryptfs', speedMin: 0.5, words: 'at least 0.5 × gocryptfs' },
  cold: false,
  ask: ({ directory, number, scale }) =>
    askClient({
      operation: 'create',
      directory: join(directory, `round-${number}`),
      warm: join(directory, `warm-${number}`),
      count: scale.files
    })
}
