/**
 * Where a daemon listens. The path of a Unix socket has room for 107 bytes, a home's path may
 * be longer; then the socket goes to a private folder of short name, under a name made from the
 * home's.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { lstat, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GroveError } from './grove-error.ts'
import { DIRECTORY_MODE, type Environment } from './home.ts'

/** The longest path of a Unix socket, in bytes (sun_path holds 108 with its end mark). */
export const SOCKET_PATH_BYTES_MAX = 107

/**
 * Chooses the socket's path and makes the folder it needs.
 *
 * @throws {GroveError} `FAILED` when the folder of short name belongs to somebody else
 */
export async function chooseSocketPath(
  home: { readonly directory: string },
  environment: Environment
): Promise<string> {
  const natural = join(home.directory, 'daemon.sock')
  if (fits(natural)) return natural
  const name = `grove-${createHash('sha256').update(home.directory).digest('hex').slice(0, 24)}.sock`
  const runtime = environment['XDG_RUNTIME_DIR']
  const inRuntime = runtime === undefined || runtime === '' ? undefined : join(runtime, name)
  if (inRuntime !== undefined && fits(inRuntime)) return inRuntime
  const folder = join(tmpdir(), `grove-${process.getuid?.() ?? 0}`)
  await makePrivateFolder(folder)
  return join(folder, name)
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX
}

/** In a folder that everybody may write to, a folder of ours counts only if it is ours. */
async function makePrivateFolder(folder: string): Promise<void> {
  await mkdir(folder, { mode: DIRECTORY_MODE, recursive: true })
  const status = await lstat(folder)
  const ours = status.isDirectory() && status.uid === process.getuid?.()
  if (ours && (status.mode & 0o077) === 0) return
  throw new GroveError('FAILED', `${folder} is not a private folder of yours; remove it`)
}
