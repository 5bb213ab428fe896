/**
 * Homes on real hypercores for the conformance suites, with crashes of the process and of the
 * machine modelled by copies of the directory.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogIdentity } from '../../src/replication/core-slot.ts'
import { LogHome } from '../../src/replication/log-home.ts'
import type { Log } from '../../src/sync/log.ts'
import type { LogHomeSubject, LogSubject } from '../suites/log-suite.ts'
import { cloneStore, cutWal } from './cut-wal.ts'
import { observeSyncs, syncedWal } from './sync-observer.ts'

/** Seed and user data of the log of this name. */
export function identityOf(name: string): LogIdentity {
  const hash = (what: string): Uint8Array => createHash('sha256').update(what).digest()
  return { seed: hash(`seed of ${name}`), userData: hash(`user data of ${name}`) }
}

/** Makes a directory for a test and removes it afterwards. */
export async function withDirectory<T>(run: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'grove-replication-'))
  try {
    return await run(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

await observeSyncs()

/** The suites' subject for a kind of log. */
export function hypercoreSubject<L extends Log>(
  open: (home: LogHome, identity: LogIdentity) => Promise<L>
): LogSubject<L> {
  return { create: () => createHome(open) }
}

async function createHome<L extends Log>(
  open: (home: LogHome, identity: LogIdentity) => Promise<L>
): Promise<LogHomeSubject<L>> {
  const root = await mkdtemp(join(tmpdir(), 'grove-replication-'))
  let generation = 0
  const directory = (): string => join(root, String(generation))
  let home = await LogHome.open({ directory: directory() })

  const crash = async (isPowerLost: boolean): Promise<void> => {
    const [old, position] = [directory(), syncedWal(directory())]
    generation++
    await cloneStore(old, directory())
    if (isPowerLost) await cutWal(directory(), position)
    await home.close()
    home = await LogHome.open({ directory: directory(), allowMoved: true })
  }

  return {
    open: name => open(home, identityOf(name)),
    restart: () => crash(false),
    losePower: () => crash(true),
    close: async () => {
      await home.close()
      await rm(root, { recursive: true, force: true })
    }
  }
}
