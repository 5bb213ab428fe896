/**
 * The mounts that this process sees, from /proc/self/mountinfo (proc(5)). Reading it touches no
 * file system, so it cannot hang, whatever state a mount is in.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'

/** The device name that Grove's mounts show, whichever driver made them. */
export const MOUNT_SOURCE = 'grove'
/** The type of a mount of the linux driver, as /proc/mounts shows it. */
export const MOUNT_TYPE = 'fuse.grove'

const TABLE = '/proc/self/mountinfo'

/** One line of the table. */
export interface MountEntry {
  /** Number of the mount, unique while it exists. */
  readonly id: number
  /** Device number, `major:minor`; all mounts of one file system have the same. */
  readonly device: string
  /** Absolute path, as the kernel knows it: without symbolic links. */
  readonly directory: string
  /** File system type. */
  readonly type: string
  /** Device name. */
  readonly source: string
}

/** All mounts, in the order they were made: of two at one place the later one is seen. */
export async function readMountTable(): Promise<readonly MountEntry[]> {
  return parseMountTable(await readFile(TABLE))
}

/** The mount that is seen at a directory, if one is. @param directory - without symbolic links */
export async function mountAt(directory: string): Promise<MountEntry | undefined> {
  return (await readMountTable()).findLast(entry => entry.directory === directory)
}

/** Whether a mount is Grove's. */
export function isGroveMount(entry: MountEntry): boolean {
  const isFuse = entry.type === 'fuse' || entry.type.startsWith('fuse.')
  return entry.type === MOUNT_TYPE || (isFuse && entry.source === MOUNT_SOURCE)
}

/** Lines that are not understood are left out. @param table - the file's bytes */
export function parseMountTable(table: Uint8Array): readonly MountEntry[] {
  return Buffer.from(table)
    .toString('latin1')
    .split('\n')
    .flatMap(line => {
      const [before = '', after = ''] = line.split(' - ')
      const [id = '', , device, , directory] = before.split(' ')
      const [type, source] = after.split(' ')
      if (device === undefined || directory === undefined) return []
      if (type === undefined || source === undefined) return []
      const paths = { directory: unescape(directory), source: unescape(source) }
      return [{ id: Number(id), device, type, ...paths }]
    })
}

/** Blanks and backslashes are written as three octal digits; paths are bytes of UTF-8. */
function unescape(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8))
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
