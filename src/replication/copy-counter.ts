/**
 * Counts for all blocks of a window at once in how many sets each is: the sum of a block is kept
 * in the same bit of several planes, and adding a set is adding a one with carry in all of them.
 *
 * @module
 */

/** The blocks that are in at least so many of some sets. @param count - at least 1 */
export function inAtLeast(sets: readonly Uint8Array[], count: number): Uint8Array {
  const length = sets[0]?.length ?? 0
  const planes: Uint8Array[] = []
  for (const set of sets) add(planes, set)
  const reached = new Uint8Array(length)
  if (count >= 2 ** planes.length) return reached
  for (let at = 0; at < length; at++) {
    // Compared from the highest bit on, as numbers are.
    let equal = 0xff
    let greater = 0
    for (let bit = planes.length - 1; bit >= 0; bit--) {
      const plane = planes[bit]?.[at] ?? 0
      if ((count >> bit) & 1) equal &= plane
      else {
        greater |= equal & plane
        equal &= ~plane
      }
    }
    reached[at] = greater | equal
  }
  return reached
}

function add(planes: Uint8Array[], set: Uint8Array): void {
  let carry = set
  for (let bit = 0; ; bit++) {
    const plane = planes[bit]
    if (plane === undefined) {
      if (carry.some(byte => byte !== 0)) planes.push(carry.slice())
      return
    }
    const next = new Uint8Array(carry.length)
    let rest = 0
    for (let at = 0; at < plane.length; at++) {
      const sum = plane[at] ?? 0
      const one = carry[at] ?? 0
      next[at] = sum & one
      plane[at] = sum ^ one
      rest |= sum & one
    }
    if (rest === 0) return
    carry = next
  }
}
