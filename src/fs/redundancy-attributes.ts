/**
 * The attributes of redundancy. Three are settings, of files and directories, kept like any other
 * attribute; three are answers, read from what custody knows: nobody sets or removes them, and
 * they are not listed, so that `getfattr -d` shows what is set and copying a file with its
 * attributes works.
 *
 * @module
 */
import type { CopiesStatus } from '../sync/custody-view.ts'
import { parseLevel } from '../sync/effective-redundancy.ts'
import type { InodeKind } from '../sync/inode-record.ts'
import type { Name } from '../sync/operation.ts'
import { XATTR_SETTINGS_PREFIX } from './check-name.ts'
import { XATTR_CONFLICT } from './conflict-attribute.ts'
import { FsError } from './fs-error.ts'

/** How many verified copies there are of the weakest block, as a decimal number. */
export const XATTR_COPIES = 'user.grove.copies' as Name
/** `ok`, `repairing`, `at-risk` or `lost N bytes`. */
export const XATTR_HEALTH = 'user.grove.health' as Name
/** The names of the computers that keep all of it, separated by a comma and a space. */
export const XATTR_HOLDERS = 'user.grove.holders' as Name

const ANSWERS: Readonly<Record<string, (status: CopiesStatus) => string>> = {
  [XATTR_COPIES]: status => String(status.copies),
  [XATTR_HEALTH]: ({ health, lostBytes }) =>
    health === 'lost' ? `lost ${lostBytes} bytes` : health,
  [XATTR_HOLDERS]: status => status.holders.join(', ')
}

/** Whether an inode of this kind has settings and answers. */
export function hasRedundancy(kind: InodeKind): boolean {
  return kind === 'file' || kind === 'directory'
}

/** Whether a name is that of an answer. */
export function isAnswer(name: Name): boolean {
  return Object.hasOwn(ANSWERS, name)
}

/** @returns the value of an answer, as UTF-8 */
export function answerOf(name: Name, status: CopiesStatus): Uint8Array {
  return new TextEncoder().encode(ANSWERS[name]?.(status) ?? '')
}

/**
 * Checks that a name may be set to a value; those that are no names of ours may.
 *
 * @throws {FsError} EPERM for what is only read and for a kind that has no settings; EINVAL for a
 *   value or a name that means nothing
 */
export function checkSetting(
  kind: InodeKind,
  { name, value }: { readonly name: Name; readonly value: Uint8Array }
): void {
  if (!name.startsWith(XATTR_SETTINGS_PREFIX)) return
  if (name === XATTR_CONFLICT || isAnswer(name)) throw new FsError('EPERM', 'setxattr')
  // As Linux has it for every attribute of users.
  if (!hasRedundancy(kind)) throw new FsError('EPERM', 'setxattr')
  if (parseLevel(name, value) === undefined) throw new FsError('EINVAL', 'setxattr')
}
