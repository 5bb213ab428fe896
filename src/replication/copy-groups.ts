/**
 * Blocks of a window that are kept by the same computers, taken together: what is to be decided
 * about one of them is to be decided about all.
 *
 * @module
 */

/** Some blocks of a window, and what is the same for all of them. */
export interface TaggedBlocks<Tag> {
  /** Such as a keeper. */
  readonly tag: Tag
  /** Which blocks. */
  readonly bitmap: Uint8Array
}

/** Blocks that the same sets contain. */
export interface CopyGroup<Tag> {
  /** Which blocks; at least one. */
  readonly bitmap: Uint8Array
  /** The tags of all sets that contain them, in the order given. */
  readonly tags: readonly Tag[]
}

/**
 * Splits blocks up so that each set contains all blocks of a group or none.
 *
 * @param bitmap - the blocks to split
 * @param sets - of the same window
 * @returns groups without a block in common that are the blocks together
 */
export function copyGroups<Tag>(
  bitmap: Uint8Array,
  sets: readonly TaggedBlocks<Tag>[]
): readonly CopyGroup<Tag>[] {
  let groups: { bitmap: Uint8Array; tags: Tag[] }[] = bitmap.some(byte => byte !== 0)
    ? [{ bitmap, tags: [] }]
    : []
  for (const { tag, bitmap: set } of sets) {
    const split: typeof groups = []
    for (const group of groups) {
      const [isInside, isOutside] = compare(group.bitmap, set)
      if (!isInside) split.push(group)
      else if (!isOutside) split.push({ bitmap: group.bitmap, tags: [...group.tags, tag] })
      else {
        const inside = group.bitmap.map((byte, at) => byte & (set[at] ?? 0))
        const outside = group.bitmap.map((byte, at) => byte & ~(set[at] ?? 0))
        split.push({ bitmap: inside, tags: [...group.tags, tag] })
        split.push({ bitmap: outside, tags: group.tags })
      }
    }
    groups = split
  }
  return groups
}

/** Whether some blocks are in the set, and whether some are not. */
function compare(blocks: Uint8Array, set: Uint8Array): readonly [boolean, boolean] {
  let inside = 0
  let outside = 0
  for (let at = 0; at < blocks.length; at++) {
    const byte = blocks[at] ?? 0
    inside |= byte & (set[at] ?? 0)
    outside |= byte & ~(set[at] ?? 0)
  }
  return [inside !== 0, outside !== 0]
}
