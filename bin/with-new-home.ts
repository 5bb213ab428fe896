/**
 * Makes a home for a drive that exists elsewhere: locked before anything is asked, removed again
 * when it comes to nothing.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Home } from './home.ts'
import { HomeLock } from './home-lock.ts'

/**
 * Does the work in a prepared and locked home, which is made if missing. When it fails before
 * there is a key file, what was made here is removed.
 *
 * @param home - nothing of it needs to exist
 * @param command - what to say to others who want the home
 * @throws {GroveError} `ALREADY_INITIALISED`, `LOCKED`, `NEWER_FORMAT`, `FAILED`
 */
export async function withNewHome<T>(
  home: Home,
  command: string,
  work: () => Promise<T>
): Promise<T> {
  const made = await missingParts(home)
  await home.prepare()
  const lock = await HomeLock.acquire(home.lockFile, { pid: process.pid, command })
  try {
    await home.clearUnfinished()
    return await work()
  } catch (error) {
    // Held by our lock, made by us, and without a key: nobody else's.
    if (!existsSync(home.keyFile)) {
      await home.clearUnfinished().catch(() => undefined)
      for (const path of made) await rm(path, { recursive: true, force: true })
    }
    throw error
  } finally {
    await lock.release()
  }
}

/** What preparing the home makes; nothing of one that was begun before. */
async function missingParts(home: Home): Promise<readonly string[]> {
  if (!existsSync(home.directory)) return [home.directory]
  const names = await readdir(home.directory)
  return names.length > 0 ? [] : [home.lockFile, home.logFile, join(home.directory, 'format')]
}
