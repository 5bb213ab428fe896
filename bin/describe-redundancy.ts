/**
 * How a file or directory is kept, in words.
 *
 * @module
 */
import type { RedundancyAnswer } from './custody-api.ts'
import { printableJsonName, printableText } from './printable-name.ts'

const WAITS: Readonly<Record<RedundancyAnswer['durability'], string>> = {
  local: '',
  peer: 'an fsync there waits for the disk of one other computer',
  level: 'an fsync there waits for the disks of as many computers as copies are wished'
}

/** Lines for a terminal. */
export function describeRedundancy(answer: RedundancyAnswer): readonly string[] {
  const { copies, floor, sites, verifiedCopies, holders, health, durability } = answer
  const wished = `${counted(copies, 'copy', 'copies')} wished, never fewer than ${floor}`
  const where = sites > 1 ? `, at ${sites} sites` : ''
  const inherited = answer.isSetHere ? '' : ' (inherited)'
  const names = holders.map(printableText).join(', ')
  const verified = `now ${verifiedCopies} verified${names === '' ? '' : `: ${names}`}`
  return [
    `${printableJsonName(answer)}: ${wished}${where}${inherited}; ${verified}; health ${printableText(health)}`,
    ...(durability === 'local' ? [] : [WAITS[durability]])
  ]
}

/** A number and what it counts. */
export function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`
}
