/**
 * Which folders a drive may be mounted on.
 *
 * The daemon must never need what it serves: a folder that holds the home, the program or Node
 * would hide them behind the mount and hang the daemon at the next file it opens there.
 *
 * @module
 */
import { mkdir, readdir, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { GroveError } from './grove-error.ts'
import { isInside, resolveOutsideMounts } from './resolve-outside-mounts.ts'

/**
 * Checks a mount point and makes it if it is missing. Touches no mounted drive.
 *
 * @param directory - as the person wrote it; relative to the current directory
 * @param home - the home's folder
 * @returns its absolute path without symbolic links, and whether some drive, dead or alive, is
 *   mounted on it; then nothing more was checked
 * @throws {GroveError} `BAD_DIRECTORY`
 */
export async function prepareMountDirectory(
  directory: string,
  home: string
): Promise<{ readonly path: string; readonly mounted: boolean }> {
  const { path, insideMount } = await resolveOutsideMounts(directory)
  if (insideMount === path) return { path, mounted: true }
  if (insideMount !== undefined)
    throw bad(
      `${directory} lies inside the drive mounted at ${insideMount}; choose a folder outside`
    )
  if (isInside(home, path) || isInside(path, home))
    throw bad(`${directory} and the home ${home} may not lie in each other; choose another folder`)
  for (const needed of [process.execPath, fileURLToPath(import.meta.url)])
    if (isInside(needed, path))
      throw bad(`${directory} holds the program that serves the drive; choose another folder`)
  await makeEmpty(path, directory)
  return { path, mounted: false }
}

async function makeEmpty(path: string, shown: string): Promise<void> {
  let names: readonly string[]
  try {
    await mkdir(path, { recursive: true, mode: 0o755 })
    if (!(await stat(path)).isDirectory()) throw bad(`${shown} is no directory; choose another`)
    names = await readdir(path)
  } catch (error) {
    if (error instanceof GroveError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    if (code === 'EEXIST' || code === 'ENOTDIR')
      throw bad(`${shown} is no directory; choose another`)
    throw bad(`cannot use ${shown} as a mount point: ${code}`)
  }
  if (names.length > 0)
    throw bad(`${shown} is not empty and a mount would hide what is in it; choose another folder`)
}

function bad(message: string): GroveError {
  return new GroveError('BAD_DIRECTORY', message)
}
