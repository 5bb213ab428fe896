/**
 * Clears what a daemon that was killed left behind: a mount point that answers ENOTCONN.
 *
 * Whether a mount is dead is asked by a child process with a deadline, because a mount whose
 * daemon is alive but stuck lets the asker hang; and with statfs, because most other calls are
 * answered from the kernel's cache long after the daemon has gone.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { readlink, realpath, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { findFusermount, runFusermount } from './fusermount.ts'
import { loadFuseAddon, type FuseAddon } from './linux/fuse-device.ts'
import { isGroveMount, mountAt, type MountEntry } from './mount-table.ts'
import { MountError } from './mount.ts'

/** How long a mount may take to answer before it counts as unresponsive, in milliseconds. */
export const PROBE_MS_MAX = 5000

/** Links that are followed on the way to a mount point. */
const LINKS_MAX = 40
/** Flags of umount2(2). */
const MNT_FORCE = 1
const MNT_DETACH = 2
const UMOUNT_NOFOLLOW = 8

/**
 * What was found.
 * - `none`: no mount of Grove's is there.
 * - `live`: one that answers; it was left alone.
 * - `unresponsive`: one that does not answer in time; it was left alone.
 * - `cleared`: a dead one, or an unresponsive one that was to be aborted; it is gone.
 */
export type DeadMountResult = 'none' | 'live' | 'unresponsive' | 'cleared'

/**
 * Detaches a dead mount of Grove's. A live one is never touched.
 *
 * @param directory - absolute path of the mount point
 * @param options - `abortUnresponsive` also ends a mount that does not answer: only for who knows
 *   that its daemon is dead, because a daemon that is stopped does not answer either
 * @throws {MountError} when it is dead and cannot be detached
 */
export async function clearDeadMount(
  directory: string,
  options: { readonly abortUnresponsive?: boolean; readonly probeMsMax?: number } = {}
): Promise<DeadMountResult> {
  const path = await withoutLinks(directory)
  const mount = await mountAt(path)
  if (mount === undefined || !isGroveMount(mount)) return 'none'
  const answer = await probe(path, options.probeMsMax ?? PROBE_MS_MAX)
  const aborts = answer === 'unresponsive' && options.abortUnresponsive === true
  if (answer !== 'dead' && !aborts) return answer
  if (process.geteuid?.() === 0) await detachAsRoot(path)
  else await detachAsUser(mount, aborts)
  return 'cleared'
}

/**
 * The path without symbolic links, found without asking the mount itself: only the way to it is
 * resolved, and whether its last name is a link the kernel answers by itself.
 */
async function withoutLinks(directory: string, linksLeft = LINKS_MAX): Promise<string> {
  const parent = await realpath(dirname(resolve(directory))).catch(() => dirname(directory))
  const path = join(parent, basename(directory))
  const target = await readlink(path).catch(() => undefined)
  if (target === undefined || linksLeft === 0) return path
  return withoutLinks(resolve(parent, target), linksLeft - 1)
}

/** Asks a mount, in a child process that is given up if it does not come back. */
async function probe(path: string, timeoutMs: number): Promise<'live' | 'dead' | 'unresponsive'> {
  const script = `
    try { require('node:fs').statfsSync(process.argv[1]) }
    catch (error) { process.exit(error.code === 'ENOTCONN' ? 2 : 1) }`
  const child = spawn(process.execPath, ['-e', script, '--', path], { cwd: '/', stdio: 'ignore' })
  return new Promise(settle => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      child.unref()
      settle('unresponsive')
    }, timeoutMs)
    const finish = (code: number | null): void => {
      clearTimeout(timer)
      settle(code === 2 ? 'dead' : 'live')
    }
    child.once('error', () => finish(null))
    child.once('exit', finish)
  })
}

/** Ends the connection, so that what waits for it gets an error, and detaches the mount. */
async function detachAsRoot(path: string): Promise<void> {
  const addon = fuseAddon()
  if (addon === undefined) return detachByProgram(path, 'umount', ['-f', '-l', '--', path])
  const failed = -(await addon.unmount(path, MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW))
  // EINVAL: somebody else was faster.
  if (failed === 0 || failed === constants.errno.EINVAL) return
  throw new MountError('FAILED', `the dead mount ${path} stays: errno ${failed}; umount -l it`)
}

async function detachAsUser(mount: MountEntry, aborts: boolean): Promise<void> {
  if (aborts) await abort(mount)
  const path = mount.directory
  const program = await findFusermount()
  if (program === undefined)
    throw new MountError('NO_HELPER', 'fusermount3 is missing: apt-get install fuse3')
  await detachByProgram(path, program, ['-uz', '--', path])
}

async function detachByProgram(
  path: string,
  program: string,
  args: readonly string[]
): Promise<void> {
  const { succeeded, message } = await runFusermount(program, [...args])
  if (!succeeded && (await mountAt(path)) !== undefined)
    throw new MountError('FAILED', `the dead mount ${path} stays: ${message}`)
}

/** The addon, or undefined where it could not be built: then the programs of the system do. */
function fuseAddon(): FuseAddon | undefined {
  try {
    return loadFuseAddon()
  } catch (error) {
    if (error instanceof MountError && error.code === 'NO_ADDON') return undefined
    throw error
  }
}

/** Ends the connection: its owner may, where the control file system is mounted. */
async function abort(mount: MountEntry): Promise<void> {
  const [, minor = ''] = mount.device.split(':')
  const control = `/sys/fs/fuse/connections/${minor}/abort`
  await writeFile(control, '1').catch((cause: unknown) => {
    const message = `${mount.directory} does not answer and cannot be aborted (${control})`
    throw new MountError('FAILED', message, { cause })
  })
}
