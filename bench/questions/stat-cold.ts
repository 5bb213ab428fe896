/**
 * How long does stat of a file take when nobody remembers it?
 *
 * @module
 */
import { askClient, MICROSECONDS_PER_FILE, type Question } from '../question.ts'
import { makeSmallFiles, smallFilesOf } from './small-files.ts'

/** Looking at small files once, after a remount. */
export const statCold: Question = {
  id: 'stat-cold',
  title: 'stat, cold',
  unit: MICROSECONDS_PER_FILE,
  goal: { against: 'gocryptfs', speedMin: 0.7, words: 'at least 0.7 × gocryptfs' },
  cold: true,
  prepare: makeSmallFiles,
  ask: round => askClient({ operation: 'stat', ...smallFilesOf(round), passes: 1, warmPasses: 0 })
}
