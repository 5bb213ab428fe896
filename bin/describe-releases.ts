/**
 * Says in words what holders were given leave to forget, when it goes, and why it does not.
 *
 * @module
 */
import {
  HOLDER_KEY_DIGITS_MIN,
  RELEASE_DAYS,
  type HolderRemoveLine,
  type HolderStatus,
  type TrimAnswer,
  type WaitingCopies
} from './custody-api.ts'
import { printableText } from './printable-name.ts'
import { readableSize } from './readable-size.ts'
import { readableTime } from './readable-time.ts'

/** A holder that was removed, and what became of what it has. */
export type RemovedHolder = Extract<HolderRemoveLine, { readonly kind: 'end' }>

/** Says what becomes of what a removed holder has. */
export function describeRemoved({
  removed,
  toldBytes,
  awayBytes,
  problem
}: RemovedHolder): readonly string[] {
  const name = printableText(removed.name)
  const takeBack = `grove holders remove ${removed.key.slice(0, HOLDER_KEY_DIGITS_MIN)} --cancel`
  if (removed.keptBytes === 0) return [`${name} keeps nothing for you any more.`]
  return [
    `${name} is not counted on any more.`,
    ...(toldBytes > 0
      ? [
          `${readableSize(toldBytes)} on its disk are released: they go in ${RELEASE_DAYS} days, if enough others have them then.`,
          `To go on with it before then: ${takeBack}`
        ]
      : []),
    ...(awayBytes > 0
      ? [
          `${readableSize(awayBytes)} stay on its disk until this drive meets it again and tells it; if that never happens, until its lease ends.`
        ]
      : []),
    ...(problem === undefined ? [] : [`It was not told of all of it: ${problem}`])
  ]
}

/** Says what becomes of copies that are more than wished. */
export function describeTrim({ holders, waiting }: TrimAnswer, cancel: boolean): readonly string[] {
  const nothing = cancel
    ? 'nothing was released that could be taken back'
    : 'nothing to release: no holder has more copies than are wished'
  return [
    ...(holders.length === 0 ? [nothing] : holders.flatMap(one => describeOutcome(one, cancel))),
    ...waiting.map(describeWaiting),
    ...(waiting.some(({ reason }) => reason === 'excess')
      ? ['To take it back before then: grove holders trim --cancel']
      : [])
  ]
}

function describeOutcome(
  { name, toldBytes, awayBytes, problem }: TrimAnswer['holders'][number],
  cancel: boolean
): readonly string[] {
  const who = printableText(name)
  const told = cancel ? 'stay after all' : 'are more than wished and were released'
  return [
    ...(toldBytes > 0 ? [`${who}: ${readableSize(toldBytes)} ${told}`] : []),
    ...(awayBytes > 0
      ? [`${who}: ${readableSize(awayBytes)} are left alone; it is not connected, try again then`]
      : []),
    ...(problem === undefined ? [] : [`${who}: not all of it; ${problem}`])
  ]
}

/** What each reason to forget something is, for people. */
const REASON_WORDS: Readonly<Record<WaitingCopies['reason'], string>> = {
  excess: 'more than wished',
  removed: 'it was removed',
  garbage: 'no file needs them'
}

function describeWaiting({ name, reason, bytes, dueMs, problem }: WaitingCopies): string {
  const why = problem === undefined ? '' : `; not yet: ${problem}`
  const when = readableTime(dueMs)
  return `${printableText(name)}: ${readableSize(bytes)} go from ${when} on (${REASON_WORDS[reason]})${why}`
}

/** Says when what was released of a holder may go; nothing when nothing was. */
export function describeReleased({
  name,
  releasedBytes,
  releasedMs
}: HolderStatus): readonly string[] {
  if (releasedBytes === undefined || releasedMs === undefined) return []
  const size = readableSize(releasedBytes)
  return [
    `${printableText(name)}: ${size} released, to go from ${readableTime(releasedMs)} on if enough others have them then`
  ]
}
