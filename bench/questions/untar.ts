/**
 * How long does it take to unpack a source tree with tar?
 *
 * @module
 */
import { join } from 'node:path'
import { askClient, type Question } from '../question.ts'

/** Unpacking the source tree, each round into a new folder. */
export const untar: Question = {
  id: 'untar',
  title: 'tar x',
  unit: { name: 's', of: seconds => seconds },
  goal: { against: 'gocryptfs', speedMin: 1 / 2.5, words: 'at most 2.5 × the time of gocryptfs' },
  cold: false,
  ask: ({ archive, directory, number }) =>
    askClient({ operation: 'untar', archive, directory: join(directory, `round-${number}`) })
}
