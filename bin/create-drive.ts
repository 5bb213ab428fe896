/**
 * Makes a drive in a home: keys, logs with their first entry, and last of all the key file.
 *
 * @module
 */
import { encodeKeyFile } from '../src/crypto/key-file.ts'
import { DaemonLog } from './daemon-log.ts'
import type { Home } from './home.ts'
import { HomeLock } from './home-lock.ts'
import { makeNewDrive, type NewDrive } from './new-drive.ts'
import { recordNewDrive } from './open-drive.ts'
import { SystemClock } from './system-clock.ts'
import { systemRandom } from './system-random.ts'

/** What to make. */
export interface CreateOptions {
  /** Where; nothing of it needs to exist. */
  readonly home: Home
  /** What to call this device; checked. */
  readonly deviceName: string
  /** Seals the key file; only read. */
  readonly passphrase: Uint8Array | undefined
}

/**
 * Makes a drive; it is durable when this resolves.
 *
 * @throws {GroveError} `ALREADY_INITIALISED`, `LOCKED`, `NEWER_FORMAT`, `FAILED`
 */
export async function createDrive(options: CreateOptions): Promise<NewDrive> {
  const { home } = options
  await home.prepare()
  const lock = await HomeLock.acquire(home.lockFile, { pid: process.pid, command: 'init' })
  try {
    return await createLocked(options)
  } finally {
    await lock.release()
  }
}

async function createLocked({ home, deviceName, passphrase }: CreateOptions): Promise<NewDrive> {
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  const clock = new SystemClock()
  const drive = await makeNewDrive({ deviceName, owner, random: systemRandom, clock })
  const log = new DaemonLog(home.logFile)
  log.write('grove init')
  await recordNewDrive({ home, keys: drive.content, log }, drive.firstOperations)
  log.close()
  const bytes = await encodeKeyFile(drive.content, {
    random: systemRandom,
    ...(passphrase !== undefined && { passphrase })
  })
  // The key file comes last: a home without one counts as not initialised and may be remade.
  await home.createKeyFile(bytes)
  bytes.fill(0)
  return drive
}
