/**
 * What names may be, of files and of extended attributes.
 *
 * @module
 */
import { NAME_BYTES_MAX, type Name } from '../sync/operation.ts'
import { FsError } from './fs-error.ts'

/** Attribute name spaces that are kept; others are EOPNOTSUPP. */
export const XATTR_PREFIXES: readonly string[] = ['user.', 'security.', 'trusted.']

/** Names of settings, also of those of later versions; nothing else may be stored under them. */
export const XATTR_SETTINGS_PREFIX = 'user.grove.'

/** Never kept: the label of a security module; `ls` then stops asking for it. */
const XATTR_REFUSED = 'security.selinux'

/** @throws {FsError} ENOENT when empty, ENAMETOOLONG, EINVAL for bytes that no name has */
export function checkName(name: Name, operation: string): void {
  if (name.length === 0) throw new FsError('ENOENT', operation)
  if (name.length > NAME_BYTES_MAX) throw new FsError('ENAMETOOLONG', operation)
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code === 0 || code === 0x2f || code > 255) throw new FsError('EINVAL', operation)
  }
}

/** @returns whether a name is `.` or `..` */
export function isDotName(name: Name): boolean {
  return name === '.' || name === '..'
}

/** @throws {FsError} ERANGE for a name too short or long, EOPNOTSUPP, EINVAL for a bare prefix or a NUL */
export function checkXattrName(name: Name, operation: string): void {
  if (name.length === 0 || name.length > NAME_BYTES_MAX) throw new FsError('ERANGE', operation)
  const prefix = XATTR_PREFIXES.find(start => name.startsWith(start))
  if (prefix === undefined || name === XATTR_REFUSED) throw new FsError('EOPNOTSUPP', operation)
  if (name === prefix || name.includes('\0')) throw new FsError('EINVAL', operation)
}
