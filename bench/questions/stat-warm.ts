/**
 * How long does stat of a file take that was looked at a moment ago?
 *
 * @module
 */
import { askClient, type Question } from '../question.ts'
import { makeSmallFiles, smallFilesOf } from './small-files.ts'

/** Looking at small files again and again. */
export const statWarm: Question = {
  id: 'stat-warm',
  title: 'stat, warm',
  unit: {
    name: 'µs',
    of: (seconds, scale) => (seconds * 1e6) / (scale.files * scale.warmPasses)
  },
  cold: false,
  prepare: makeSmallFiles,
  ask: round =>
    askClient({
      operation: 'stat',
      ...smallFilesOf(round),
      passes: round.scale.warmPasses,
      warmPasses: 1
    })
}
