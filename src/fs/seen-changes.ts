/**
 * Of what a merge changed, what somebody remembers: changes of the view as whoever uses a
 * {@link Vfs} has to hear of them.
 *
 * @module
 */
import type { TreeIndex } from '../sync/tree-index.ts'
import type { ChangedName, ViewChanges } from '../sync/view-changes.ts'
import type { OpenInodes } from './open-inodes.ts'
import type { InodeNumber, NameChange, VfsChanges } from './vfs.ts'

/** @returns the changes of inodes that are known, by every number that they are known by */
export function seenChanges(
  view: ViewChanges,
  { index, open }: { readonly index: TreeIndex; readonly open: OpenInodes }
): VfsChanges {
  learnAliases(view, index, open)
  const names: NameChange[] = []
  const attributes = new Set<InodeNumber>()
  const content = new Set<InodeNumber>()
  const add = (to: Set<InodeNumber>, ino: number | undefined): void => {
    if (ino !== undefined) for (const known of open.knownAs(ino)) to.add(known)
  }
  for (const changed of view.names) {
    add(attributes, changed.before)
    add(attributes, changed.after)
    add(content, changed.directory)
    const kind = kindOf(changed, index)
    for (const parent of open.knownAs(changed.directory))
      names.push({ place: { parent, name: changed.name }, kind })
  }
  for (const ino of view.attributes) add(attributes, ino)
  for (const ino of view.content) add(content, ino)
  for (const ino of content) attributes.delete(ino)
  return { names, attributes, content }
}

/** @returns whether there is nothing to hear of */
export function isNothing({ names, attributes, content }: VfsChanges): boolean {
  return names.length === 0 && attributes.size === 0 && content.size === 0
}

/** A directory that lost its name and is still found is shown as another from now on. */
function learnAliases(view: ViewChanges, index: TreeIndex, open: OpenInodes): void {
  for (const { before } of view.names) {
    if (before === undefined || !open.isKnown(before)) continue
    const shown = index.findInode(before)?.ino
    if (shown !== undefined && shown !== before) open.addAlias(before, shown)
  }
}

function kindOf({ before }: ChangedName, index: TreeIndex): NameChange['kind'] {
  if (before === undefined) return 'appeared'
  const record = index.findInode(before)
  const livesOn = record?.kind === 'directory' && record.links.length > 0
  return livesOn ? 'moved' : 'replaced'
}
