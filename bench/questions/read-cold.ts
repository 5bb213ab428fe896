/**
 * How long does reading a file of 4 KiB take when nobody remembers it: open, read, close?
 *
 * @module
 */
import { askClient, MICROSECONDS_PER_FILE, type Question } from '../question.ts'
import { makeSmallFiles, smallFilesOf } from './small-files.ts'

/** Reading small files once, after a remount. */
export const readCold: Question = {
  id: 'read-cold',
  title: 'read 4 KiB, cold',
  unit: MICROSECONDS_PER_FILE,
  goal: { against: 'gocryptfs', speedMin: 0.7, words: 'at least 0.7 × gocryptfs' },
  cold: true,
  prepare: makeSmallFiles,
  ask: round => askClient({ operation: 'read', ...smallFilesOf(round) })
}
