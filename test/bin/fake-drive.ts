/** A drive and mount drivers that only remember what was asked of them. */
import type { DriveStatus } from '../../bin/api.ts'
import type { ServedDrive, ServedVfs, VerifyEvent } from '../../bin/served-drive.ts'
import type { Settings } from '../../bin/settings.ts'
import { MountError, type Mount, type MountOptions } from '../../src/fs/fuse/mount.ts'
import type { Vfs } from '../../src/fs/vfs.ts'

/** Everything that fakes were asked, in order. */
export type Journal = string[]

/** A drive without anything in it. */
export class FakeDrive implements ServedDrive {
  /** What `verify` yields. */
  events: VerifyEvent[] = []
  /** Makes the next `sync` or `close` fail. */
  failure: Error | undefined
  readonly #journal: Journal

  constructor(journal: Journal) {
    this.#journal = journal
  }

  status(): Promise<DriveStatus> {
    return Promise.resolve({
      drive: 'd'.repeat(64),
      device: { name: 'desk', key: 'e'.repeat(64) },
      logs: [],
      bytes: 1,
      unflushedBytes: 0,
      damagedEntries: 0
    })
  }

  openVfs({ readOnly }: { readonly readOnly: boolean }): Promise<ServedVfs> {
    this.#journal.push(readOnly ? 'open vfs read-only' : 'open vfs')
    // Nobody looks inside it: the drivers are fakes too.
    const vfs = {} as Vfs
    const close = (): Promise<void> => this.#say('close vfs')
    return Promise.resolve({ vfs, openFiles: 3, close })
  }

  async *verify(signal: AbortSignal): AsyncGenerator<VerifyEvent> {
    for (const event of this.events) {
      if (signal.aborted) return
      yield event
    }
    await this.#say('verified')
  }

  applySettings(settings: Settings): void {
    this.#journal.push(`settings ${JSON.stringify(settings)}`)
  }

  sync(): Promise<void> {
    return this.#say('sync')
  }

  close(): Promise<void> {
    return this.#say('close drive')
  }

  async #say(what: string): Promise<void> {
    this.#journal.push(what)
    await Promise.resolve()
    const failure = this.failure
    this.failure = undefined
    if (failure !== undefined) throw failure
  }
}

/** A folder that a {@link FakeDriver} pretends to have mounted. */
export class FakeMount implements Mount {
  readonly directory: string
  readonly ended: Promise<void>
  /** While true, only a lazy unmount succeeds, and it does not end the mount. */
  busy = false
  /** Ends the mount, as a foreign `umount` does. */
  end: () => void = () => undefined
  readonly #journal: Journal

  constructor(directory: string, journal: Journal) {
    this.directory = directory
    this.#journal = journal
    this.ended = new Promise(resolve => {
      this.end = resolve
    })
  }

  unmount({ lazy }: { readonly lazy: boolean }): Promise<void> {
    this.#journal.push(lazy ? 'unmount lazily' : 'unmount')
    if (this.busy && !lazy) return Promise.reject(new MountError('BUSY', 'files are open'))
    if (!this.busy) this.end()
    return Promise.resolve()
  }
}

/** A mount driver. */
export class FakeDriver {
  /** The mounts it made. */
  readonly mounts: FakeMount[] = []
  /** Makes `mount` fail. */
  failure: MountError | undefined
  readonly #name: string
  readonly #journal: Journal

  constructor(name: string, journal: Journal) {
    this.#name = name
    this.#journal = journal
  }

  /** The driver as a function. */
  readonly mount = ({ directory }: MountOptions): Promise<Mount> => {
    this.#journal.push(`mount with ${this.#name}`)
    if (this.failure !== undefined) return Promise.reject(this.failure)
    const mount = new FakeMount(directory, this.#journal)
    this.mounts.push(mount)
    return Promise.resolve(mount)
  }
}
