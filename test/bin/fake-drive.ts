/** A drive and mount drivers that only remember what was asked of them. */
import type {
  ConflictStatus,
  DeviceStatus,
  DriveStatus,
  InviteAnswer,
  Keep,
  SyncStatus,
  VersionStatus
} from '../../bin/api.ts'
import type {
  ExplainAnswer,
  HolderAddRequest,
  HolderRemoveLine,
  HolderRemoveRequest,
  HolderStatus,
  OwnDriveAnswer,
  OwnHolderRequest,
  RedundancyAnswer,
  SurvivalStatus,
  TrimAnswer,
  TrimRequest
} from '../../bin/custody-api.ts'
import { GroveError } from '../../bin/grove-error.ts'
import { jsonName, type JsonName } from '../../bin/printable-name.ts'
import { pathText } from '../../bin/drive-path.ts'
import type {
  ConnectOptions,
  DrivePath,
  ServedDrive,
  ServedVfs,
  VerifyEvent
} from '../../bin/served-drive.ts'
import type { Settings } from '../../bin/settings.ts'
import { MountError, type Mount, type MountOptions } from '../../src/fs/fuse/mount.ts'
import type { Vfs } from '../../src/fs/vfs.ts'

/** Everything that fakes were asked, in order. */
export type Journal = string[]

/** A drive without anything in it. */
export class FakeDrive implements ServedDrive {
  /** What `verify` yields. */
  events: VerifyEvent[] = []
  /** What `connect` was called with. */
  connected: ConnectOptions | undefined
  /** What `conflicts` lists. */
  conflictList: ConflictStatus[] = []
  /** What `versions` lists. */
  versionList: VersionStatus[] = []
  /** What `cat` yields; an error is thrown. */
  pieces: (Uint8Array | Error)[] = []
  /** What `catchUp` yields, one after another; `syncStatus` gives the last one. */
  syncList: SyncStatus[] = [
    {
      ...{ missingEntries: 0, unreachableEntries: 0, waitingEntries: 0, quarantinedEntries: 0 },
      ...{ missingBytes: 0, online: 1, devices: 1 }
    }
  ]
  /** What `holders` lists. */
  holderList: HolderStatus[] = [fakeHolder({ name: 'desk', kind: 'this' })]
  /** What `trimHolders` answers. */
  trimmed: TrimAnswer = { holders: [], waiting: [] }
  /** What `removeHolder` yields. */
  removeLines: HolderRemoveLine[] = []
  /** What `redundancy` and `explain` answer with, besides the path. */
  kept: Omit<ExplainAnswer, 'path'> = {
    copies: 2,
    floor: 1,
    sites: 1,
    durability: 'local',
    isSetHere: false,
    verifiedCopies: 1,
    health: 'repairing',
    holders: ['desk'],
    blocks: 0,
    computers: []
  }
  /** What `status` says of it. */
  survival: SurvivalStatus | undefined
  /** Makes the next request fail. */
  failure: Error | undefined
  /** Who served its file systems. */
  readonly mounts: Pick<Mount, 'isAsked'>[] = []
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
      damagedEntries: 0,
      ...(this.survival !== undefined && { survival: this.survival }),
      network: {
        state: 'on',
        devices: 1,
        online: 1,
        missingBytes: 5,
        waitingEntries: 0,
        quarantined: [],
        refusedPeers: 2
      }
    })
  }

  openVfs({ readOnly }: { readonly readOnly: boolean }): Promise<ServedVfs> {
    this.#journal.push(readOnly ? 'open vfs read-only' : 'open vfs')
    // Nobody looks inside it: the drivers are fakes too.
    const vfs = {} as Vfs
    const close = (): Promise<void> => this.#say('close vfs')
    return Promise.resolve({
      ...{ vfs, onServed: () => undefined, openFiles: 3, close },
      onMounted: mount => this.mounts.push(mount)
    })
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

  connect(options: ConnectOptions): void {
    this.connected = options
    this.#journal.push('connect')
  }

  async invite({ minutes }: { readonly minutes: number }): Promise<InviteAnswer> {
    await this.#say(`invite for ${minutes} minutes`)
    return { code: 'y'.repeat(106), expiresMs: minutes * 60_000 }
  }

  devices(): Promise<readonly DeviceStatus[]> {
    const merged = { merged: 3, known: 4 }
    const here = { here: merged, there: merged, isSuspended: false }
    return Promise.resolve([
      { name: 'desk', key: 'e'.repeat(64), isThis: true, online: true, ...here },
      { name: 'phone', key: 'f'.repeat(64), isThis: false, online: false, lastSeenMs: 0, ...here }
    ])
  }

  conflicts(): Iterable<ConflictStatus> {
    return this.conflictList
  }

  async resolveConflict(path: DrivePath, keep: Keep): Promise<readonly JsonName[]> {
    await this.#say(`keep ${keep} of ${pathText(path)}`)
    return [jsonName(pathText(path))]
  }

  async versions(path: DrivePath): Promise<readonly VersionStatus[]> {
    await this.#say(`versions of ${pathText(path)}`)
    return this.versionList
  }

  async *cat(path: DrivePath, version: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    await this.#say(`cat ${pathText(path)} ${version}`)
    for (const piece of this.pieces) {
      if (signal.aborted) return
      if (piece instanceof Error) throw piece
      yield piece
    }
  }

  syncStatus(): Promise<SyncStatus> {
    const last = this.syncList.at(-1)
    if (last === undefined) throw new GroveError('FAILED', 'no state was set')
    return Promise.resolve(last)
  }

  async *catchUp(signal: AbortSignal): AsyncGenerator<SyncStatus> {
    for (const status of this.syncList) {
      if (signal.aborted) return
      yield status
    }
    await this.#say('caught up')
  }

  async holders(): Promise<readonly HolderStatus[]> {
    await this.#say('holders')
    return this.holderList
  }

  async addHolder(request: HolderAddRequest): Promise<HolderStatus> {
    await this.#say(`add holder ${JSON.stringify(request)}`)
    const { site, machine, person } = request
    return fakeHolder({
      ...(site !== undefined && { site }),
      ...(machine !== undefined && { machine }),
      ...(person !== undefined && { person })
    })
  }

  async *removeHolder(
    { holder, force }: HolderRemoveRequest,
    signal: AbortSignal
  ): AsyncGenerator<HolderRemoveLine> {
    await this.#say(`remove holder ${holder}${force ? ' by force' : ''}`)
    for (const line of this.removeLines) {
      if (signal.aborted) return
      yield line
    }
    await this.#say('removed')
  }

  async keepHolder(holder: string): Promise<HolderStatus> {
    await this.#say(`keep holder ${holder}`)
    return fakeHolder({ name: holder })
  }

  async trimHolders({ cancel }: TrimRequest): Promise<TrimAnswer> {
    await this.#say(cancel ? 'take back what is too much' : 'trim')
    return this.trimmed
  }

  async ownHolder({ holder, persons }: OwnHolderRequest): Promise<OwnDriveAnswer> {
    await this.#say(`own holder ${holder.slice(0, 8)} for ${persons.map(one => one.name).join()}`)
    return { identity: 'd'.repeat(64), returned: [{ person: 'Anna', mibSeconds: 5 }] }
  }

  async redundancy(path: DrivePath, level?: string): Promise<RedundancyAnswer> {
    await this.#say(`redundancy of ${pathText(path)}${level === undefined ? '' : ` ${level}`}`)
    return { ...jsonName(pathText(path)), ...this.kept }
  }

  async explain(path: DrivePath): Promise<ExplainAnswer> {
    await this.#say(`explain ${pathText(path)}`)
    return { ...jsonName(pathText(path)), ...this.kept }
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

/** A holder that keeps 3 GiB of 50 GiB. */
export function fakeHolder(change: Partial<HolderStatus> = {}): HolderStatus {
  return {
    name: 'anna',
    key: 'a'.repeat(64),
    kind: 'holder',
    online: true,
    state: 'held',
    keptBytes: 3 * 2 ** 30,
    quotaBytes: 50 * 2 ** 30,
    lastProofMs: 0,
    audits: { blocks: 812, failed: 1 },
    ...change
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
