/**
 * Which folders are mounted drives, asked without touching any of them.
 *
 * A path inside a mounted drive must not be looked at by the process that serves it, nor by one
 * that cannot bear to wait: a dead or stuck mount would hang the caller. So paths are resolved
 * here one component at a time, and each is compared with the kernel's table of mounts before
 * it is touched.
 *
 * @module
 */
import { lstat, readFile, readlink } from 'node:fs/promises'
import { isAbsolute, join, resolve, sep } from 'node:path'

/** How many symbolic links are followed before a path counts as a loop (as in Linux). */
export const SYMLINKS_MAX = 40

/** What the kernel calls our mounts, as `/proc/self/mountinfo` shows them. */
const GROVE_TYPE = /^fuse\.grove/

/** One line of the mount table. */
export interface MountedFolder {
  /** Where it is mounted. */
  readonly directory: string
  /** The file system type, as in `fuse.grove`. */
  readonly type: string
  /** What is mounted, as the file system names itself. */
  readonly source: string
}

/** Reads the kernel's table of mounts; empty where the system has none to read. */
export async function readMountTable(): Promise<readonly MountedFolder[]> {
  try {
    return parseMountTable(await readFile('/proc/self/mountinfo', 'utf8'))
  } catch {
    return []
  }
}

/** Parses the format of proc_pid_mountinfo(5); lines of another shape are skipped. */
export function parseMountTable(text: string): readonly MountedFolder[] {
  const folders: MountedFolder[] = []
  for (const line of text.split('\n')) {
    const [place, file] = line.split(' - ', 2)
    const directory = place?.split(' ')[4]
    const [type, source] = file?.split(' ') ?? []
    if (directory === undefined || type === undefined || source === undefined) continue
    folders.push({ directory: unescape(directory), type, source: unescape(source) })
  }
  return folders
}

/** Whether the mount is a drive of ours, served by whatever process. */
export function isGroveMount(folder: MountedFolder): boolean {
  return GROVE_TYPE.test(folder.type) || (folder.type === 'fuse' && folder.source === 'grove')
}

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
 * Follows a path, its symbolic links too, without touching a mounted drive. A part that does
 * not exist yet is kept as it is.
 *
 * @throws when there are more than {@link SYMLINKS_MAX} links
 */
export async function resolveOutsideMounts(
  path: string,
  mounts: readonly MountedFolder[]
): Promise<Resolved> {
  const drives = mounts.filter(isGroveMount).map(folder => folder.directory)
  const absolute = resolve(path)
  let reached: string = sep
  let waiting = absolute.split(sep).filter(part => part !== '')
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
    waiting = [...target.split(sep).filter(each => each !== ''), ...waiting]
  }
  return { path: reached, insideMount: undefined }
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined
  } catch {
    return undefined
  }
}

/** The kernel writes blanks and backslashes as a backslash and three octal digits. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8))
  )
}
