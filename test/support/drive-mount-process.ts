/**
 * The process that serves one device of a drive as a mount, with a second device beside it in
 * memory, whose changes it merges when a test says so. Started and spoken to by
 * `memory-mount.ts`, as `memory-mount-process.ts` is.
 *
 * Whoever waits for other computers to have something waits until a test says that they do.
 *
 * Making a file called `slow*` and listing a directory that is called so take a while, in which a
 * notification about that directory is sent: it finds the request unanswered.
 *
 * @module
 */
import { mountLinux, type LinuxMount } from '../../src/fs/fuse/linux-driver.ts'
import { O_APPEND, O_WRONLY, type InodeNumber, type Vfs } from '../../src/fs/vfs.ts'
import { ALONE, type CopiesStatus } from '../../src/sync/custody-view.ts'
import type { Name } from '../../src/sync/operation.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { MemoryDrive } from './memory-drive.ts'
import type { ServerState } from './memory-mount.ts'
import { patternBytes, VfsSession } from './vfs-session.ts'
import { VirtualClock } from './virtual-clock.ts'

/** How often the drives' clock is moved on, in milliseconds. */
const CLOCK_MS = 5
/** How long what is slow takes, in milliseconds: the notify thread runs in less. */
const SLOW_MS = 100

const [directory = ''] = process.argv.slice(2)
/** How everything is kept. */
const KEPT: CopiesStatus = { copies: 3, health: 'ok', lostBytes: 0, holders: ['attic', 'Zoë'] }
/** Ends waits for other computers. */
const held: ((error?: Error) => void)[] = []
const clock = new VirtualClock()
const reports: string[] = []
let served = 0
const remembered = new Map<InodeNumber, number>()
let waiting = 0

async function holdDurable(): Promise<void> {
  return new Promise((resolve, reject) => {
    held.push(error => (error === undefined ? resolve() : reject(error)))
  })
}

/** Counts what the kernel knows and which reads wait, and makes some calls slow. */
function watch(vfs: Vfs): void {
  const add = (ino: InodeNumber, count: number): void => {
    const left = (remembered.get(ino) ?? 0) + count
    if (left === 0) remembered.delete(ino)
    else remembered.set(ino, left)
  }
  const [remember, forget] = [vfs.remember.bind(vfs), vfs.forget.bind(vfs)]
  vfs.remember = ino => {
    add(ino, 1)
    remember(ino)
  }
  vfs.forget = (ino, count) => {
    add(ino, -count)
    forget(ino, count)
  }
  const read = vfs.read.bind(vfs)
  vfs.read = (handle, range, signal) => {
    let isRemote = false
    const parts = read(handle, range, () => {
      if (!isRemote) waiting++
      isRemote = true
      return signal?.() ?? new AbortController().signal
    })
    const done = (): void => {
      if (isRemote) waiting--
    }
    if (parts instanceof Promise) parts.then(done, done)
    return parts
  }
  const create = vfs.create.bind(vfs)
  vfs.create = (place, node, caller) => {
    if (place.name.startsWith('slow')) tellSlowly(vfs, place.parent, place.name)
    return create(place, node, caller)
  }
  const [opendir, readdir] = [vfs.opendir.bind(vfs), vfs.readdir.bind(vfs)]
  const slow = new Map<number, InodeNumber>()
  vfs.opendir = ino => {
    const handle = opendir(ino)
    if (isSlow(vfs, ino)) slow.set(handle, ino)
    return handle
  }
  vfs.readdir = (handle, offset, visit) => {
    const ino = slow.get(handle)
    if (ino !== undefined) tellSlowly(vfs, ino, 'f' as Name)
    readdir(handle, offset, visit)
  }
}

function isSlow(vfs: Vfs, ino: InodeNumber): boolean {
  try {
    return vfs.lookup({ parent: 1 as InodeNumber, name: 'slow-directory' as Name }).ino === ino
  } catch {
    return false
  }
}

/** Tells of a change of the directory whose request is under way, and keeps it waiting. */
function tellSlowly(vfs: Vfs, parent: InodeNumber, name: Name): void {
  vfs.onChanged?.({
    names: [{ place: { parent, name }, kind: 'replaced' }],
    attributes: new Set(),
    content: new Set([parent])
  })
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SLOW_MS)
}

/** What the second device does, by path. */
function actionsOf(other: VfsSession): Record<string, (...args: never[]) => unknown> {
  const { vfs } = other
  return {
    write: (path: string, text: string) => other.writeFile(path, text),
    append: async (path: string, text: string) => {
      const handle = await other.open(path, O_WRONLY | O_APPEND)
      await other.write(handle, text, 0)
      await other.close(handle)
    },
    pattern: (path: string, length: number) => other.writeFile(path, patternBytes(length)),
    truncate: (path: string, size: number) => vfs.setattr(other.ino(path), { size }),
    chmod: (path: string, mode: number) => vfs.setattr(other.ino(path), { mode }),
    mkdir: (path: string) => other.mkdir(path),
    unlink: (path: string) => vfs.unlink(other.place(path)),
    rmdir: (path: string) => vfs.rmdir(other.place(path)),
    rename: (from: string, to: string) => vfs.rename(other.place(from), other.place(to), 'replace'),
    names: (path: string) => other.names(path),
    read: (path: string) => other.readFileText(path)
  }
}

async function main(): Promise<void> {
  const here = await MemoryDrive.create({ clock, device: 'here' })
  const there = await MemoryDrive.create({ clock, device: 'there' })
  there.connected.add(here)
  const { vfs } = here
  here.custody = { ...ALONE, copiesOf: () => KEPT, whenDurable: holdDurable }
  watch(vfs)
  const report = (message: string, cause: unknown): void => {
    reports.push(cause instanceof Error ? `${message}: ${cause.message}` : message)
  }
  const onServed = (): void => {
    served += 1
  }
  const options = { vfs, directory, readOnly: false, allowOther: true, report, onServed }
  const mount = await mountLinux(options)
  let moved = performance.now()
  setInterval(() => {
    const now = performance.now()
    clock.advance(now - moved)
    moved = now
  }, CLOCK_MS)
  const actions = actionsOf(new VfsSession(there.vfs))
  const commands: Record<string, (args: readonly unknown[]) => unknown> = {
    state: () => stateOf(mount, vfs.openFiles),
    unmount: ([lazy]) => mount.unmount({ lazy: lazy === true }),
    ended: () => mount.ended,
    /** The second device does something; it is not merged here yet. */
    there: ([action, ...args]) => actions[String(action)]?.(...(args as never[])),
    /** The second device merges what was done here. */
    tell: async () => {
      await vfs.syncfs()
      await there.catchUpWith(here)
    },
    /** What the second device did is merged here. */
    hear: async () => {
      await there.vfs.syncfs()
      await here.catchUpWith(there)
    },
    /** Whether the second device can be asked for content. */
    connect: ([isConnected]) => {
      if (isConnected === true) here.connected.add(there)
      else here.connected.delete(there)
    },
    /** How many wait for other computers. */
    held: () => held.length,
    /** Other computers answer all that wait for them, or do not in time. */
    answer: ([isInTime]) => {
      for (const end of held.splice(0))
        end(isInTime === true ? undefined : new SyncError('TIMED_OUT', 'no answer'))
    },
    conflicts: () => [...here.replica.index.conflicts()].map(({ name }) => name),
    resolve: ([name, keep]) => {
      const place = { parent: 1 as InodeNumber, name: String(name) as Name }
      return vfs.resolveConflict(place, keep as 'mine' | 'theirs' | 'both').map(each => each.name)
    }
  }
  process.on(
    'message',
    ({ id, command, args }: { id: number; command: string; args: unknown[] }) => {
      const answer = async (): Promise<unknown> => commands[command]?.(args)
      answer().then(
        result => process.send?.({ id, result: result ?? null }),
        (error: unknown) => process.send?.({ id, error: errorOf(error) })
      )
    }
  )
  // The test has gone: do not stay behind with a mount.
  process.on('disconnect', () => {
    void mount.unmount({ lazy: true }).finally(() => process.exit(1))
  })
  process.send?.({ id: 0, result: null })
}

function stateOf(mount: LinuxMount, handles: number): ServerState {
  return {
    requests: mount.requestCounts(),
    served,
    inodes: remembered.size,
    handles,
    waiting,
    rootRemembered: remembered.get(1 as InodeNumber) ?? 0,
    notifier: mount.notifier.status(),
    reports
  }
}

function errorOf(error: unknown): { message: string; code: unknown } {
  const { message, code } = error as { message?: string; code?: unknown }
  return { message: message ?? String(error), code }
}

main().catch((error: unknown) => process.send?.({ id: 0, error: errorOf(error) }))
