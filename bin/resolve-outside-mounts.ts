/**
 * Where a path leads, found out without touching a mounted drive.
 *
 * A path inside a mounted drive must not be looked at by the process that serves it, nor by one
 * that cannot bear to wait: a dead or stuck mount would hang the caller. So paths are resolved
 * here one component at a time, and each is compared with the kernel's table of mounts before
 * it is touched.
 *
 * @module
 */
import { lstat, readlink } from 'node:fs/promises'
import { isAbsolute, join, resolve, sep } from 'node:path'
import { isGroveMount, readMountTable, type MountEntry } from '../src/fs/fuse/mount-table.ts'

/** How many symbolic links are followed before a path counts as a loop (as in Linux). */
export const SYMLINKS_MAX = 40

/** A mount, as far as it matters here. */
export type Mounted = Pick<MountEntry, 'directory' | 'type' | 'source'>

/** Whether `path` is `directory` or lies inside it. Both are absolute and normal. */
export function isInside(path: string, directory: string): boolean {
  const prefix = directory.endsWith(sep) ? directory : directory + sep
  return path === directory || path.startsWith(prefix)
}

/** Where a path leads. */
export interface Resolved {
  /** The path without symbolic links, as far as it could be followed. */
  readonly path: string
  /** The mounted drive it leads into, or to the root of; nothing beyond was touched. */
  readonly insideMount: string | undefined
}

/**
 * Makes a path absolute and follows it, its symbolic links too, without touching a mounted drive. A part that does
 * not exist yet is kept as it is.
 *
 * @param mounts - the kernel's table, unless a test has another
 * @throws when there are more than {@link SYMLINKS_MAX} links
 */
export async function resolveOutsideMounts(
  path: string,
  mounts?: readonly Mounted[]
): Promise<Resolved> {
  const drives = (mounts ?? (await allMounts())).filter(isDrive).map(each => each.directory)
  let reached: string = sep
  // Not `resolve(path)`: what `..` means is known only when the links before it are followed.
  let waiting = namesIn(isAbsolute(path) ? path : process.cwd() + sep + path)
  let links = 0
  for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
    const next = resolve(reached, part)
    const drive = drives.find(directory => isInside(next, directory))
    if (drive !== undefined) return { path: join(next, ...waiting), insideMount: drive }
    const target = await linkTarget(next)
    if (target === undefined) {
      reached = next
      continue
    }
    if (++links > SYMLINKS_MAX) throw new Error(`too many symbolic links in ${path}`)
    if (isAbsolute(target)) reached = sep
    waiting = [...namesIn(target), ...waiting]
  }
  return { path: reached, insideMount: undefined }
}

/** Where the system has no table there is nothing to stay out of that we could know. */
async function allMounts(): Promise<readonly Mounted[]> {
  return readMountTable().catch(() => [])
}

function isDrive(mount: Mounted): boolean {
  return isGroveMount({ id: 0, device: '', ...mount })
}

function namesIn(path: string): string[] {
  return path.split(sep).filter(name => name !== '')
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined
  } catch {
    return undefined
  }
}
