/**
 * Devices of one drive, each with a file system of its own over logs in memory, that exchange
 * what they have written when a test says so.
 *
 * @module
 */
import { O_APPEND, O_RDWR, O_WRONLY, type HandleId, type VfsChanges } from '../../src/fs/vfs.ts'
import { MemoryDrive } from './memory-drive.ts'
import { VfsSession } from './vfs-session.ts'
import { VirtualClock } from './virtual-clock.ts'

/** One device, by path. */
export class Device extends VfsSession {
  /** Its drive. */
  readonly drive: MemoryDrive
  /** What its kernel would have been told since this was last emptied. */
  readonly heard: VfsChanges[] = []

  /** @param drive - borrowed */
  constructor(drive: MemoryDrive) {
    super(drive.vfs)
    this.drive = drive
    drive.vfs.onChanged = changes => this.heard.push(changes)
  }

  /** Commits what the others have, and merges it here. */
  async hear(...others: readonly Device[]): Promise<void> {
    for (const other of others) await other.drive.vfs.syncfs()
    await this.drive.catchUpWith(...others.map(other => other.drive))
  }

  /** Adds to the end of a file that is there. */
  async append(path: string, text: string): Promise<void> {
    const handle = await this.open(path, O_WRONLY | O_APPEND)
    await this.write(handle, text, 0)
    await this.close(handle)
  }

  /** Has the kernel know an inode, so that its changes are heard of. */
  know(...paths: readonly string[]): void {
    for (const path of paths) this.vfs.remember(this.ino(path))
  }

  /** Opens for reading and writing. */
  async opened(path: string): Promise<HandleId> {
    return this.open(path, O_RDWR)
  }

  /** What was heard since the last call, in words and sorted. */
  news(): readonly string[] {
    return this.heard.splice(0).flatMap(inWords).toSorted()
  }
}

/** Makes devices of one drive that can fetch content of one another; closed with the test. */
export async function makeDevices(
  t: { teardown(close: () => Promise<void>): unknown },
  ...names: readonly string[]
): Promise<readonly Device[]> {
  const clock = new VirtualClock()
  const drives: MemoryDrive[] = []
  for (const device of names) drives.push(await MemoryDrive.create({ clock, device }))
  for (const drive of drives)
    for (const other of drives) if (other !== drive) drive.connected.add(other)
  t.teardown(async () => {
    for (const drive of drives) await drive.close()
  })
  return drives.map(drive => new Device(drive))
}

/** Exchanges everything in all directions, until all have seen all. */
export async function exchange(...devices: readonly Device[]): Promise<void> {
  for (const device of [...devices, ...devices.slice(0, -1)])
    await device.hear(...devices.filter(other => other !== device))
}

function inWords({ names, attributes, content }: VfsChanges): string[] {
  return [
    ...names.map(({ place, kind }) => `${kind} ${place.parent}/${place.name}`),
    ...[...attributes].map(ino => `attributes ${ino}`),
    ...[...content].map(ino => `content ${ino}`)
  ]
}
