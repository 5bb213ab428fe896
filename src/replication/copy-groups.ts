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
  // Four bytes at a time: this is what a custodian does most of.
  const all = wordsOf(bitmap)
  let groups: { words: Int32Array; tags: Tag[] }[] = all.some(word => word !== 0)
    ? [{ words: all, tags: [] }]
    : []
  for (const { tag, bitmap: set } of sets) {
    const other = wordsOf(set)
    const split: typeof groups = []
    for (const group of groups) {
      const { words, tags } = group
      switch (relationOf(words, other)) {
        case 'outside':
          split.push(group)
          break
        case 'inside':
          split.push({ words, tags: [...tags, tag] })
          break
        case 'both':
          split.push({
            words: words.map((word, at) => word & (other[at] ?? 0)),
            tags: [...tags, tag]
          })
          split.push({ words: words.map((word, at) => word & ~(other[at] ?? 0)), tags })
      }
    }
    groups = split
  }
  return groups.map(({ words, tags }) => ({
    bitmap: words === all ? bitmap : new Uint8Array(words.buffer, words.byteOffset, bitmap.length),
    tags
  }))
}

function wordsOf(bitmap: Uint8Array): Int32Array {
  // What was read from a disk may be a Buffer, whose own `slice` does not copy.
  const aligned = bitmap.byteOffset % 4 === 0 ? bitmap : Uint8Array.from(bitmap)
  return new Int32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4)
}

/** Where some blocks are, seen from a set. */
function relationOf(words: Int32Array, set: Int32Array): 'inside' | 'outside' | 'both' {
  let inside = 0
  let outside = 0
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? 0
    inside |= word & (set[at] ?? 0)
    outside |= word & ~(set[at] ?? 0)
    if (inside !== 0 && outside !== 0) return 'both'
  }
  return inside !== 0 ? 'inside' : 'outside'
}
