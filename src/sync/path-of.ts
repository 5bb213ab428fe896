/**
 * Where an inode is in the tree, by names.
 *
 * @module
 */
import type { Name } from './operation.ts'
import { ROOT_INO, type TreeIndex } from './tree-index.ts'

/** A path is given up as endless after this many names. */
export const PATH_NAMES_MAX = 4096

/**
 * The names that lead from the root to an inode, by its first name where it has several. Of what
 * has no name, or lies too deep, the names that are known.
 *
 * @throws {SyncError} `MISSING` when there is no such inode
 */
export function pathOf(index: TreeIndex, ino: number): readonly Name[] {
  const names: Name[] = []
  for (let at = ino; at !== ROOT_INO && names.length < PATH_NAMES_MAX;) {
    const [link] = index.inode(at).links
    if (link === undefined) break
    names.push(link.name)
    at = link.parent
  }
  return names.reverse()
}
