/**
 * What people ask about the copies of their drive, and what they tell it: holders, levels, who
 * keeps what and why, what survives which loss.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { CryptoError } from '../src/crypto/crypto-error.ts'
import { decodeHolderCode, type HolderCode } from '../src/crypto/holder-code.ts'
import { signHolderStatement, type HolderContent } from '../src/crypto/holder-statement.ts'
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import { XATTR_HEALTH, answerOf } from '../src/fs/redundancy-attributes.ts'
import type { KeeperInfo } from '../src/replication/custodian-parts.ts'
import type { ReleasedCopies, WaitingRelease } from '../src/replication/copy-releaser.ts'
import type { KeeperStatus, SurvivalReport } from '../src/replication/custody-report.ts'
import type { GreetedKeeper } from '../src/replication/keeper-link.ts'
import type { Holder } from '../src/replication/known-holders.ts'
import { ReplicationError } from '../src/replication/replication-error.ts'
import { nowMs } from '../src/replication/wall-time.ts'
import type { Clock } from '../src/sync/clock.ts'
import type { CopiesStatus } from '../src/sync/custody-view.ts'
import type { LogBlock } from '../src/sync/content-needs.ts'
import { XATTR_REDUNDANCY } from '../src/sync/effective-redundancy.ts'
import { memberId } from '../src/sync/members.ts'
import type { Replica } from '../src/sync/replica.ts'
import {
  HOLDER_KEY_DIGITS_MIN,
  AT_RISK_LISTED_MAX,
  type ExplainAnswer,
  type ExplainedComputer,
  type HolderAddRequest,
  type HolderRemoveLine,
  type HolderRemoveRequest,
  type HolderStatus,
  type OwnDriveAnswer,
  type OwnHolderRequest,
  type RedundancyAnswer,
  type ReleaseOutcome,
  type SurvivalStatus,
  type TrimAnswer,
  type TrimRequest,
  type WaitingCopies,
  type WeakFile
} from './custody-api.ts'
import type { DriveCustody } from './drive-custody.ts'
import type { DriveFiles } from './drive-files.ts'
import { pathText } from './drive-path.ts'
import type { DrivePeers } from './drive-peers.ts'
import { GroveError } from './grove-error.ts'
import type { LongWork } from './long-work.ts'
import { jsonName } from './printable-name.ts'
import { GIB_DAY_MIB_SECONDS } from './readable-work.ts'
import { refusalWords } from './refusal-words.ts'
import type { DrivePath, NetworkCustody } from './served-drive.ts'

/** How often it is looked whether a holder can be done without, in milliseconds. */
export const LEAVE_LOOK_MS = 500

/** Of how many inodes below a directory it is explained who keeps them. */
export const EXPLAINED_INODES_MAX = 20_000

/** How many files are looked at before others have their turn. */
const FILES_PER_STEP = 64

/** In so many inodes attributes are looked for before others have their turn. */
const INODES_PER_STEP = 128

/** What answers; all of it is borrowed. */
export interface CustodyAnswersParts {
  /** The copies. */
  readonly custody: DriveCustody
  /** The device's keys and the drive's. */
  readonly keys: KeyFileContent
  /** Who belongs to the drive, and its holders. */
  readonly peers: DrivePeers
  /** The drive. */
  readonly replica: Replica
  /** Its files. */
  readonly files: DriveFiles
  /** How many bytes the logs on this device take. */
  readonly ownBytes: () => Promise<number>
  /** How a file, or all of a directory, is kept. */
  readonly copiesOf: (ino: number) => CopiesStatus | Promise<CopiesStatus>
  /** Gives long work its turns. */
  readonly longWork: LongWork
  /** Time. */
  readonly clock: Clock
}

/** See the module. */
export class CustodyAnswers implements NetworkCustody {
  readonly #parts: CustodyAnswersParts

  /** @param parts - see {@link CustodyAnswersParts} */
  constructor(parts: CustodyAnswersParts) {
    this.#parts = parts
  }

  async holders(): Promise<readonly HolderStatus[]> {
    const { custody } = this.#parts
    const others = custody.custodian
      .keeperStatus()
      .map(status => this.#statusOf(status))
      .filter(({ state, keptBytes }) => state !== 'leaving' || keptBytes > 0)
    return [await this.#thisDevice(), ...others]
  }

  async addHolder(request: HolderAddRequest): Promise<HolderStatus> {
    const { custody, peers, replica } = this.#parts
    const code = decodedCode(request.code)
    try {
      const greeted = await custody.connections.admit(code)
      const bytes = this.#holderStatement(code, greeted, request)
      replica.execute({ type: 'statement', bytes })
      await replica.sync()
      peers.holders.add(bytes)
      const id = memberId(greeted.signer)
      const status = custody.custodian.keeperStatus().find(({ info }) => info.id === id)
      if (status !== undefined) return this.#statusOf(status)
      throw new GroveError('FAILED', 'the drive has as many holders as it can have')
    } finally {
      custody.connections.holdersChanged()
    }
  }

  async *removeHolder(
    request: HolderRemoveRequest,
    signal: AbortSignal
  ): AsyncGenerator<HolderRemoveLine> {
    const { custody, peers } = this.#parts
    const holder = findHolder(peers.holders.all(), request.holder)
    const status = custody.custodian.keeperStatus().find(({ info }) => info.id === holder.id)
    if (status === undefined) throw new GroveError('NOT_FOUND', 'there is no such holder')
    const removed = this.#statusOf(status)
    if (!request.force) {
      yield* this.#needsKnown(signal)
      if (signal.aborted) return
      this.#refuseIfNeeded(holder)
    }
    custody.setLeaving(holder.id, true)
    let isRemoved = false
    try {
      if (!request.force) yield* this.#copiesElsewhere(signal)
      if (signal.aborted) return
      await this.#state(holder, 'remove')
      isRemoved = true
    } finally {
      custody.setLeaving(holder.id, false)
    }
    if (isRemoved) yield { kind: 'end', removed, ...(await this.#releaseAll(holder.id)) }
  }

  async keepHolder(name: string): Promise<HolderStatus> {
    const { custody, peers } = this.#parts
    const holder = findHolder(peers.holders.removed(), name)
    await this.#state(holder, 'add')
    const status = custody.custodian.keeperStatus().find(({ info }) => info.id === holder.id)
    if (status !== undefined) return this.#statusOf(status)
    throw new GroveError('FAILED', 'the drive has as many holders as it can have')
  }

  async trimHolders({ cancel }: TrimRequest): Promise<TrimAnswer> {
    const { custodian } = this.#parts.custody
    const done = await (cancel ? custodian.cancelTrim() : custodian.trim()).catch(explainTrim)
    return {
      holders: done.map(released => ({
        name: this.#nameOf(released.keeper),
        key: released.keeper,
        ...outcomeOf(released)
      })),
      waiting: custodian.waitingReleases().flatMap(one => this.#waitingOf(one))
    }
  }

  async ownHolder(request: OwnHolderRequest): Promise<OwnDriveAnswer> {
    const { custody, keys } = this.#parts
    custody.ownHolders.told(request)
    const returned = new Map<string, number>()
    for (const { info } of custody.custodian.keeperStatus()) {
      const mibSeconds = custody.balances.mibSecondsOf(info.id)
      if (info.person === undefined || mibSeconds === undefined) continue
      returned.set(info.person, (returned.get(info.person) ?? 0) + mibSeconds)
    }
    return Promise.resolve({
      identity: Buffer.from(keys.identity).toString('hex'),
      returned: [...returned].map(([person, mibSeconds]) => ({ person, mibSeconds }))
    })
  }

  async redundancy(path: DrivePath, level?: string): Promise<RedundancyAnswer> {
    const { files, replica } = this.#parts
    if (level !== undefined) await files.setLevel(path, level)
    const ino = files.inodeOf(path)
    const status = await this.#parts.copiesOf(ino)
    return {
      ...jsonName(pathText(path)),
      ...replica.redundancyOf(ino),
      durability: replica.durabilityOf(ino),
      isSetHere: replica.index.xattr(ino, XATTR_REDUNDANCY) !== undefined,
      verifiedCopies: status.copies,
      health: Buffer.from(answerOf(XATTR_HEALTH, status)).toString(),
      holders: status.holders
    }
  }

  async explain(path: DrivePath): Promise<ExplainAnswer> {
    const { files, custody } = this.#parts
    const blocks = await this.#blocksBelow(files.inodeOf(path))
    const states = new Map(custody.custodian.keeperStatus().map(each => [each.info.id, each]))
    const computers = custody.custodian.explain(blocks).map((kept): ExplainedComputer => {
      const status = states.get(kept.keeper)
      const counts = kept.state === 'held' || kept.state === 'silent'
      return {
        name: kept.name,
        kind: status?.info.kind ?? 'this',
        state: kept.state,
        blocks: kept.blocks,
        ...(kept.sinceMs > 0 && { sinceMs: kept.sinceMs }),
        ...(kept.provenMs > 0 && { lastProofMs: kept.provenMs }),
        counts: counts && kept.blocks > 0,
        why: whyOf({ ...kept, of: blocks.length, refusal: status?.refusal })
      }
    })
    return {
      ...(await this.redundancy(path)),
      blocks: blocks.length,
      computers: computers
        .filter(({ state, blocks: kept }) => state !== 'leaving' || kept > 0)
        .toSorted((left, right) => right.blocks - left.blocks)
    }
  }

  async survival(): Promise<SurvivalStatus> {
    const { custody } = this.#parts
    const report = custody.custodian.survival()
    const least = (part: 'copies' | 'sites' | 'persons'): number =>
      Math.max(0, Math.min(...report.levels.map(each => each[part]), report.operationCopies) - 1)
    const isWell = report.levels.every(({ unwell }) => amountOf(unwell) === 0)
    const weak = isWell ? [] : await this.#weakFiles()
    return {
      computers: least('copies'),
      sites: least('sites'),
      people: least('persons'),
      directories: await this.#directories(report),
      atRisk: sumOf(weak.filter(({ health }) => health !== 'repairing')),
      repairing: sumOf(weak.filter(({ health }) => health === 'repairing')),
      lostBytes: report.levels.reduce((sum, { unwell }) => sum + unwell.lost.bytes, 0),
      weakest: weak
        .toSorted((left, right) => left.copies - right.copies)
        .slice(0, AT_RISK_LISTED_MAX)
    }
  }

  /** Records what is to become of a holder. */
  async #state({ id, statement }: Holder, action: HolderContent['action']): Promise<void> {
    const { peers, replica, keys, clock } = this.#parts
    const version = peers.holders.nextVersion(id)
    const content: HolderContent = { ...statement, action, version, timeMs: nowMs(clock) }
    const bytes = signHolderStatement(content, keys.deviceKeys.signing)
    replica.execute({ type: 'statement', bytes })
    await replica.sync()
    peers.holders.add(bytes)
  }

  /** Once a holder is removed: what it cannot be told now it is told when it is met. */
  async #releaseAll(id: string): Promise<ReleaseOutcome> {
    const { custodian } = this.#parts.custody
    try {
      const outcome = outcomeOf(await custodian.releaseRemoved(id))
      // What it was told before counts too.
      return { ...outcome, toldBytes: this.#releasedOf(id).releasedBytes ?? 0 }
    } catch (error) {
      if (!(error instanceof ReplicationError)) throw error
      const { bytes } = custodian.contentOf(id)
      return { toldBytes: 0, awayBytes: bytes, problem: TRIM_WORDS }
    }
  }

  #waitingOf({ keeper, kind, bytes, dueMs, refusal }: WaitingRelease): readonly WaitingCopies[] {
    if (bytes === 0) return []
    const isRemoved = this.#parts.peers.holders.byId(keeper) === undefined
    const reason = kind === 'garbage' ? kind : isRemoved ? 'removed' : kind
    const problem = refusal && refusalWords(refusal)
    const who = { name: this.#nameOf(keeper), key: keeper }
    return [{ ...who, reason, bytes, dueMs, ...(problem !== undefined && { problem }) }]
  }

  #nameOf(keeper: string): string {
    const { custodian } = this.#parts.custody
    return custodian.keeperStatus().find(({ info }) => info.id === keeper)?.info.name ?? keeper
  }

  #holderStatement(
    code: HolderCode,
    greeted: GreetedKeeper,
    { site = '', machine = '', person = '' }: HolderAddRequest
  ): Uint8Array {
    const { keys, peers, clock } = this.#parts
    const content: HolderContent = {
      action: 'add',
      version: peers.holders.nextVersion(memberId(greeted.signer)),
      drive: keys.drive,
      holder: greeted.signer,
      network: code.network,
      machineTag: greeted.machine,
      timeMs: nowMs(clock),
      name: greeted.name,
      site,
      machine,
      person
    }
    return signHolderStatement(content, keys.deviceKeys.signing)
  }

  #statusOf(status: KeeperStatus): HolderStatus {
    const { info, usage } = status
    const { connections, custodian } = this.#parts.custody
    const refused = status.refusal === undefined ? undefined : refusalWords(status.refusal)
    const problem = connections.problemOf(info.id) ?? refused
    const { bytes } = status.state === 'leaving' ? custodian.contentOf(info.id) : status.kept
    return {
      name: info.name,
      key: info.id,
      kind: info.kind,
      online: status.isConnected,
      state: status.state,
      ...(info.site !== undefined && { site: info.site }),
      ...(info.machine !== undefined && { machine: info.machine }),
      ...(info.person !== undefined && { person: info.person }),
      keptBytes: Math.round(bytes),
      ...(usage !== undefined &&
        info.kind === 'holder' && {
          quotaBytes: usage.quotaBytes
        }),
      ...this.#balancesOf(info),
      ...(status.seenMs > 0 && { lastSeenMs: status.seenMs }),
      ...(status.provenMs > 0 && { lastProofMs: status.provenMs }),
      audits: status.audits,
      ...this.#releasedOf(info.id),
      ...(problem !== undefined && { problem })
    }
  }

  /** Both ways, as both sides signed them. */
  #balancesOf({ id, person }: KeeperInfo): Pick<HolderStatus, 'keptGibDays' | 'givenGibDays'> {
    const { balances, ownHolders } = this.#parts.custody
    const kept = balances.mibSecondsOf(id)
    const given = person === undefined ? undefined : ownHolders.keptFor(person)
    return {
      ...(kept !== undefined && { keptGibDays: kept / GIB_DAY_MIB_SECONDS }),
      ...(given !== undefined && { givenGibDays: given / GIB_DAY_MIB_SECONDS })
    }
  }

  #releasedOf(id: string): Pick<HolderStatus, 'releasedBytes' | 'releasedMs'> {
    const all = this.#parts.custody.custodian.waitingReleases(id)
    const released = all.filter(({ bytes }) => bytes > 0)
    if (released.length === 0) return {}
    return {
      releasedBytes: released.reduce((sum, { bytes }) => sum + bytes, 0),
      releasedMs: Math.min(...released.map(({ dueMs }) => dueMs))
    }
  }

  async #thisDevice(): Promise<HolderStatus> {
    const { peers, keys, clock, ownBytes } = this.#parts
    const key = memberId(keys.deviceKeys.signing.publicKey)
    return {
      name: peers.members.bySigning(key)?.name ?? 'this computer',
      key,
      kind: 'this',
      online: true,
      state: 'held',
      keptBytes: await ownBytes(),
      lastSeenMs: nowMs(clock),
      audits: { blocks: 0, failed: 0 }
    }
  }

  /** Where nobody could take its part, removing it is not for us to try. */
  #refuseIfNeeded(holder: Holder): void {
    const { custodian } = this.#parts.custody
    const { belowFloor, lost } = custodian.without(holder.id)
    if (belowFloor.blocks + lost.blocks === 0) return
    const others = custodian
      .keeperStatus()
      .filter(
        ({ info, isConnected }) =>
          isConnected && info.id !== holder.id && info.leaving === undefined
      )
    if (others.length > 0) return
    throw new GroveError(
      'FAILED',
      'files would have fewer copies than their floor, and no other computer is connected that could take them; add one first, or use --force'
    )
  }

  /** Just after a start nothing seems to be needed, which would be taken for a proof. */
  async *#needsKnown(signal: AbortSignal): AsyncGenerator<HolderRemoveLine> {
    while (!this.#parts.custody.custodian.areNeedsKnown && !signal.aborted) {
      yield { kind: 'progress', done: 0, total: 0 }
      await delay(LEAVE_LOOK_MS)
    }
  }

  /** Until nothing is below its floor any more. */
  async *#copiesElsewhere(signal: AbortSignal): AsyncGenerator<HolderRemoveLine> {
    const { custodian } = this.#parts.custody
    const missing = (): number =>
      custodian
        .survival()
        .levels.reduce((sum, { unwell }) => sum + unwell['at-risk'].blocks + unwell.lost.blocks, 0)
    const total = missing()
    for (let left = total; left > 0 && !signal.aborted; left = missing()) {
      yield { kind: 'progress', done: Math.max(0, total - left), total }
      await delay(LEAVE_LOOK_MS)
    }
    yield { kind: 'progress', done: total, total }
  }

  async #blocksBelow(first: number): Promise<readonly LogBlock[]> {
    const { replica, longWork } = this.#parts
    const blocks: LogBlock[] = []
    const left = [first]
    for (let count = 0; left.length > 0 && count < EXPLAINED_INODES_MAX; count++) {
      const ino = left.pop() ?? first
      const record = replica.index.findInode(ino)
      if (record?.kind === 'file')
        for (const { log, index } of replica.blocksOf(ino))
          blocks.push({ log: replica.index.logs.keyOf(log), index })
      if (record?.kind === 'directory')
        for (const child of replica.index.list(ino).values()) left.push(child.ino)
      if (count % FILES_PER_STEP === FILES_PER_STEP - 1) await longWork.yieldToEventLoop()
    }
    return blocks
  }

  async #weakFiles(): Promise<readonly WeakFile[]> {
    const { replica, custody, longWork } = this.#parts
    const weak: WeakFile[] = []
    let count = 0
    for (const { ino, redundancy, size, blocks } of replica.files()) {
      const { copies, health } = custody.custodian.copiesOf(blocks, redundancy)
      if (health !== 'ok')
        weak.push({
          ...jsonName(pathText(replica.pathOf(ino))),
          size,
          copies,
          wished: redundancy.copies,
          health
        })
      if (++count % FILES_PER_STEP === 0) await longWork.yieldToEventLoop()
    }
    return weak
  }

  /** Those with a level of their own, by the weakest of what has such a level. */
  async #directories(report: SurvivalReport): Promise<SurvivalStatus['directories']> {
    const { replica, longWork } = this.#parts
    const { index } = replica
    const found: SurvivalStatus['directories'][number][] = []
    const { inoEnd } = index
    for (let from = 0; from < inoEnd; from += INODES_PER_STEP) {
      // Few have attributes: this is much less than to look at every inode.
      for (const ino of index.xattrs.between(from, from + INODES_PER_STEP).keys()) {
        if (index.findInode(ino)?.kind !== 'directory') continue
        if (index.xattr(ino, XATTR_REDUNDANCY) === undefined) continue
        const { copies, floor } = replica.redundancyOf(ino)
        const level = report.levels.find(
          each => each.redundancy.copies === copies && each.redundancy.floor === floor
        )
        if (level === undefined) continue
        const survives = Math.max(0, Math.min(level.copies, report.operationCopies) - 1)
        found.push({ ...jsonName(pathText(replica.pathOf(ino))), computers: survives })
      }
      await longWork.yieldToEventLoop()
    }
    return found
  }
}

function decodedCode(text: string): HolderCode {
  try {
    return decodeHolderCode(text)
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause
    throw new GroveError(
      'INVITATION',
      'this is no code of a holder; copy the whole line that `grove host` printed',
      { cause }
    )
  }
}

function findHolder(all: readonly Holder[], name: string): Holder {
  const named = all.filter(({ statement }) => statement.name === name)
  const found = named.length > 0 ? named : all.filter(({ id }) => isKeyOf(id, name))
  const [holder] = found
  if (holder !== undefined && found.length === 1) return holder
  const text = found.length > 1 ? 'several holders are called so; give the key' : 'no such holder'
  throw new GroveError('NOT_FOUND', `${text}; see \`grove holders\``)
}

function outcomeOf({ told, away, refusal }: ReleasedCopies): ReleaseOutcome {
  const problem = refusal && refusalWords(refusal)
  const sizes = { toldBytes: told.bytes, awayBytes: away.bytes }
  return { ...sizes, ...(problem !== undefined && { problem }) }
}

/** While a recovery is not complete, or just after a start. */
const TRIM_WORDS =
  'it is not known yet what all of the drive needs, so that nothing is released; see `grove status`, and try again'

function explainTrim(cause: unknown): never {
  if (!(cause instanceof ReplicationError)) throw cause
  throw new GroveError('FAILED', TRIM_WORDS, { cause })
}

function isKeyOf(id: string, text: string): boolean {
  return text.length >= HOLDER_KEY_DIGITS_MIN && id.startsWith(text.toLowerCase())
}

function amountOf(unwell: SurvivalReport['levels'][number]['unwell']): number {
  return unwell.repairing.blocks + unwell['at-risk'].blocks + unwell.lost.blocks
}

function sumOf(files: readonly WeakFile[]): { readonly files: number; readonly bytes: number } {
  return { files: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) }
}

function whyOf(kept: {
  readonly state: string
  readonly blocks: number
  readonly of: number
  readonly isCandidate: boolean
  readonly score: number
  readonly refusal: string | undefined
}): string {
  if (kept.state === 'suspect') return 'away for longer than the grace: its copies do not count'
  if (kept.state === 'failed') return 'gave wrong proof: its copies do not count'
  if (kept.state === 'gone') return 'gone'
  if (kept.state === 'leaving') return 'was removed: its copies do not count'
  if (kept.refusal !== undefined && kept.blocks < kept.of) return refusalWords(kept.refusal)
  if (kept.of > 0 && kept.blocks === kept.of) return 'keeps all of it'
  const draw = `drew ${kept.score.toFixed(3)} for it`
  if (kept.blocks > 0) return `keeps a part of it; ${draw}`
  return kept.isCandidate ? `others drew more; it ${draw}` : 'takes no more just now'
}
