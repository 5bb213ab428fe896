/**
 * Watches what this process really syncs, so that a test of durability rests on the system
 * calls that were made and not on what the code says about itself.
 *
 * @module
 */
import { open, readlink, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { walNumber } from '../../src/replication/wal-sync.ts'
import type { WalPosition } from './cut-wal.ts'

/** What of each file is on the disk. */
const syncedBytes = new Map<string, number>()

/** Makes the next syncs fail, as a broken disk does. */
let fault: Error | undefined

/** Called when the disk has done its work and the code does not know yet. */
let whenSynced: (() => void) | undefined

/** Starts to watch; once per process, before the first sync. */
export async function observeSyncs(): Promise<void> {
  const handle = await open('/dev/null', 'r')
  const prototype = Object.getPrototypeOf(handle) as FileHandle
  await handle.close()
  for (const call of ['sync', 'datasync'] as const) {
    const original = prototype[call]
    prototype[call] = async function observed(this: FileHandle): Promise<void> {
      if (fault !== undefined) throw fault
      const path = await readlink(`/proc/self/fd/${String(this.fd)}`)
      const { size } = await this.stat()
      await original.call(this)
      syncedBytes.set(path, size)
      const callback = whenSynced
      whenSynced = undefined
      callback?.()
    }
  }
}

/** Every sync fails with this error until it is called without one. */
export function failSyncs(error?: Error): void {
  fault = error
}

/** Calls back once, between the end of the next sync and its return to the code. */
export function onNextSync(callback: () => void): void {
  whenSynced = callback
}

/** How many bytes of a file this process has synced. */
export function syncedBytesOf(path: string): number | undefined {
  return syncedBytes.get(path)
}

/** Up to where the write-ahead log of a store has been synced by this process. */
export function syncedWal(directory: string): WalPosition {
  const folder = join(directory, 'db')
  const files = [...syncedBytes.entries()].filter(([path]) => dirname(path) === folder)
  const positions = files.map(([path, bytes]) => ({ number: walNumber(basename(path)), bytes }))
  return positions.reduce<WalPosition>(
    (last, { number = -1, bytes }) => (number > last.number ? { number, bytes } : last),
    { number: 0, bytes: 0 }
  )
}
