/**
 * Small files that are whole or absent, whatever happens while they are written.
 *
 * A file is written under another name, made durable, and then given its name; the directory is
 * made durable last. Only the owner may read it.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { link, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Permission bits of every file in a home. */
export const FILE_MODE = 0o600

/**
 * Replaces a file, or makes it. When it resolves the new content survives a loss of power;
 * when it fails the old content is whole.
 */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  await withTemporary(path, bytes, temporary => rename(temporary, path))
}

/**
 * Makes a file that must not exist yet. Of several calls at once only one succeeds.
 *
 * @throws with code `EEXIST` when there is one already
 */
export async function createFile(path: string, bytes: Uint8Array): Promise<void> {
  await withTemporary(path, bytes, async temporary => {
    await link(temporary, path)
    await unlink(temporary)
  })
}

/** Makes the names in a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function withTemporary(
  path: string,
  bytes: Uint8Array,
  giveName: (temporary: string) => Promise<void>
): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`
  try {
    const handle = await open(temporary, 'wx', FILE_MODE)
    try {
      await handle.chmod(FILE_MODE)
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await giveName(temporary)
  } catch (error) {
    await unlink(temporary).catch(() => undefined)
    throw error
  }
  await syncDirectory(dirname(path))
}
