/**
 * The attribute of a conflict copy: `user.grove.conflict` says which file it is a copy of and
 * which device wrote it, as `notes.txt from laptop`. It is read from the view, so nobody sets or
 * removes it, and it goes when the copy is given a name by a user.
 *
 * @module
 */
import type { Name } from '../sync/operation.ts'
import type { Conflict } from '../sync/names-view.ts'

/** Its name. */
export const XATTR_CONFLICT = 'user.grove.conflict' as Name

/** @returns its value: the bytes of the file's name, ` from `, the device's name as UTF-8 */
export function conflictAttribute(
  conflict: Pick<Conflict, 'original' | 'otherDevice'>
): Uint8Array {
  const name = Uint8Array.from(conflict.original, character => character.charCodeAt(0))
  const rest = new TextEncoder().encode(` from ${conflict.otherDevice}`)
  const value = new Uint8Array(name.length + rest.length)
  value.set(name)
  value.set(rest, name.length)
  return value
}
