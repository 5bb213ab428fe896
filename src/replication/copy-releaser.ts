/**
 * Gives keepers leave to forget what need not be kept: blocks that nobody needs any more, by
 * itself; copies that are too many, when the user orders it.
 *
 * Garbage is what the merged operations speak of, no file uses, and is not stored here any more,
 * where everything is: so this device has cleared it, after the time for which history is kept.
 * Only a device that keeps all content tells, and only when it may: one that does not know all of
 * the drive would take for garbage what others need.
 *
 * Copies in excess are released first, wait as every release of a device does, and are then
 * dropped with the locks of as many others as copies are wished.
 *
 * @module
 */
import { setMaxListeners } from 'node:events'
import { RELEASE_DELAY_MS, RELEASE_WINDOWS_MAX, releaseHash } from '../crypto/release.ts'
import {
  countBits,
  difference,
  emptyBitmap,
  intersection,
  isEmptyBitmap,
  rangeBitmap,
  union,
  type BlockSet
} from '../sync/block-bitmap.ts'
import type { Timer } from '../sync/clock.ts'
import { logKey } from '../sync/log.ts'
import { memberId } from '../sync/members.ts'
import type { CustodianParts } from './custodian-parts.ts'
import type { CustodyBook } from './custody-book.ts'
import { rowBlocks } from './custody-ledger.ts'
import { dropBlocks } from './drop-attempt.ts'
import type { HolderLink, KeeperId } from './holder-link.ts'
import type { RosterEntry } from './keeper-roster.ts'
import {
  PENDING_RELEASES_MAX,
  type PendingRelease,
  type PendingReleases
} from './pending-releases.ts'
import { rankedFor } from './placement.ts'
import { ReplicationError } from './replication-error.ts'
import { nowMs } from './wall-time.ts'
import { assessWindow, type AssessedGroup } from './window-assessment.ts'

/** How often it is looked for what can go, in milliseconds. */
export const RELEASE_ROUND_MS = 60 * 60_000
/** After so long a release that was not carried out is forgotten, in milliseconds. */
export const RELEASE_FORGOTTEN_MS = 30 * 24 * 60 * 60_000
/** How many windows one release names at most. */
export const RELEASED_WINDOWS_MAX: number = Math.min(128, RELEASE_WINDOWS_MAX)
/** How many drops are tried in a round at most. */
export const DROPS_PER_ROUND_MAX = 64

/** What a releaser works with; all borrowed. */
export interface CopyReleaserParts extends Pick<
  CustodianParts,
  'clock' | 'own' | 'device' | 'onlineDevices' | 'signer' | 'settings' | 'contentLength' | 'report'
> {
  /** What is known. */
  readonly book: CustodyBook
  /** What was handed over. */
  readonly releases: PendingReleases
  /** Whether it was said what is needed since the start. */
  readonly areNeedsKnown: () => boolean
}

/** See the module. */
export class CopyReleaser {
  readonly #parts: CopyReleaserParts
  readonly #abort = new AbortController()
  #timer: Timer | undefined
  #running: Promise<void> | undefined

  /** @param parts - borrowed */
  constructor(parts: CopyReleaserParts) {
    this.#parts = parts
    setMaxListeners(DROPS_PER_ROUND_MAX, this.#abort.signal)
  }

  /** Begins with its rounds. */
  start(): void {
    if (this.#abort.signal.aborted) return
    this.#timer = this.#parts.clock.after(RELEASE_ROUND_MS, () => {
      this.round()
        .catch((error: unknown) => this.#parts.report('what can go was not released', error))
        .finally(() => this.start())
    })
  }

  /** Does a round now, or joins the one under way. */
  round(): Promise<void> {
    this.#running ??= this.#round().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /**
   * Releases copies that are more than wished, at the keepers that are connected. They go after
   * the time for which a release can be cancelled.
   *
   * @returns how many copies of blocks were released
   */
  async trim(): Promise<number> {
    const { book } = this.#parts
    const excess = new Map<
      string,
      { readonly link: HolderLink; readonly floor: number; readonly sets: BlockSet[] }
    >()
    for (const place of book.needs.contentWindows()) {
      for (const group of book.assess(place)) {
        for (const link of this.#tooMany(place, group)) {
          const floor = group.redundancy.copies
          const key = `${link.id}/${floor}`
          const one = excess.get(key) ?? { link, floor, sets: [] }
          excess.set(key, one)
          const released = this.#parts.releases.blocksAt(link.id, place)
          const bitmap = difference(group.bitmap, released)
          if (!isEmptyBitmap(bitmap))
            addTo(one.sets, { log: place.log, window: place.window, bitmap })
        }
      }
    }
    let count = 0
    for (const { link, floor, sets } of excess.values()) {
      for (let from = 0; from < sets.length; from += RELEASED_WINDOWS_MAX) {
        const blocks = sets.slice(from, from + RELEASED_WINDOWS_MAX)
        await this.#release(link, { kind: 'excess', floor, blocks })
        count += blocks.reduce((sum, { bitmap }) => sum + countBits(bitmap), 0)
      }
    }
    return count
  }

  /** Stops and waits for what is under way. Idempotent. */
  async close(): Promise<void> {
    this.#abort.abort()
    this.#timer?.cancel()
    await this.#running?.catch(() => undefined)
  }

  async #round(): Promise<void> {
    const { book } = this.#parts
    let drops = DROPS_PER_ROUND_MAX
    for (const entry of [...book.roster.ready()]) {
      const { link } = entry
      if (link === undefined || entry.info.kind !== 'holder' || this.#abort.signal.aborted) continue
      try {
        await this.#forgetDone(entry, link)
        if (this.#mayRelease(entry.info.id)) await this.#releaseGarbage(link)
        for (const release of this.#parts.releases.of(entry.info.id))
          if (release.kind === 'excess') drops -= await this.#dropExcess(entry, release, drops)
      } catch (error) {
        if (!(error instanceof ReplicationError)) throw error
        if (error.code !== 'CLOSED')
          this.#parts.report(`${entry.info.name} takes no release`, error)
      }
    }
  }

  /** Forgets what was carried out, and cancels what is needed again. */
  async #forgetDone({ info }: RosterEntry, link: HolderLink): Promise<void> {
    const { book, releases, signer, clock } = this.#parts
    for (const release of releases.of(info.id)) {
      const kept = release.blocks.map(set => intersection(set.bitmap, this.#keptAt(info.id, set)))
      const isDone = kept.every(isEmptyBitmap)
      const isOld = nowMs(clock) - release.sentMs > RELEASE_FORGOTTEN_MS
      const isNeeded =
        release.kind === 'garbage' &&
        release.blocks.some(
          (set, at) => !isEmptyBitmap(intersection(neededAt(book, set), kept[at] ?? emptyBitmap()))
        )
      if (isNeeded) await link.release(signer.cancel(release.statement))
      if (isDone || isOld || isNeeded) releases.remove(release)
    }
  }

  async #releaseGarbage(link: HolderLink): Promise<void> {
    const { book, releases } = this.#parts
    const garbage: BlockSet[] = []
    for (const row of book.ledger.rowsOf(link.id)) {
      if (garbage.length === RELEASED_WINDOWS_MAX) break
      const bitmap = difference(this.#garbageOf(rowBlocks(row)), releases.blocksAt(link.id, row))
      if (!isEmptyBitmap(bitmap)) garbage.push({ log: row.log, window: row.window, bitmap })
    }
    if (garbage.length > 0)
      await this.#release(link, { kind: 'garbage', floor: 0, blocks: garbage })
  }

  #garbageOf({ log, window, bitmap }: BlockSet): Uint8Array {
    const { book, own, contentLength } = this.#parts
    if (book.needs.isOperations(log)) return emptyBitmap()
    const known = rangeBitmap({ window, from: 0, to: contentLength(log) })
    const used = union(neededAt(book, { log, window }), own.stored(log, window))
    return difference(intersection(bitmap, known), used)
  }

  /** Of the devices online one tells a keeper. */
  #mayRelease(keeper: KeeperId): boolean {
    const { own, settings, areNeedsKnown, onlineDevices, device, releases } = this.#parts
    if (!own.counts || !settings().mayRelease || !areNeedsKnown()) return false
    if (releases.of(keeper).length >= PENDING_RELEASES_MAX) return false
    const [first = device.id] = rankedFor(onlineDevices(), { log: logKey(keeper), window: 0 })
    return first === device.id
  }

  async #release(
    link: HolderLink,
    content: {
      readonly kind: 'garbage' | 'excess'
      readonly floor: number
      readonly blocks: readonly BlockSet[]
    }
  ): Promise<void> {
    const { signer, releases, clock } = this.#parts
    const statement = signer.release({ keeper: link.id, ...content })
    await link.release(statement, { signal: this.#abort.signal })
    const hash = memberId(releaseHash(statement))
    releases.add({ keeper: link.id, hash, sentMs: nowMs(clock), statement })
  }

  /** Holders whose copies are more than wished, connected; the worst placed first. */
  #tooMany(place: BlockSetPlace, group: AssessedGroup): readonly HolderLink[] {
    const { book } = this.#parts
    const { redundancy } = group
    let rest: readonly KeeperId[] = group.counting
    const links: HolderLink[] = []
    for (const id of rankedFor(group.counting, place).toReversed()) {
      const entry = book.roster.get(id)
      if (entry?.info.kind !== 'holder' || entry.link === undefined) continue
      const without = rest.filter(one => one !== id)
      const facts = without.flatMap(one => book.factsOf(one) ?? [])
      const machines = new Set(facts.map(({ machine }) => machine)).size
      const sites = new Set(facts.map(({ site }) => site)).size
      if (machines < redundancy.copies || sites < redundancy.sites) continue
      rest = without
      links.push(entry.link)
    }
    return links
  }

  /** Drops what of a release is still too many. @returns how many drops were tried */
  async #dropExcess(
    { info, link }: RosterEntry,
    release: PendingRelease,
    triesMax: number
  ): Promise<number> {
    const { clock } = this.#parts
    if (link === undefined || nowMs(clock) < release.sentMs + RELEASE_DELAY_MS) return 0
    let tries = 0
    for (const set of release.blocks) {
      for (const bitmap of this.#stillTooMany(info.id, set)) {
        if (tries >= triesMax || this.#abort.signal.aborted) return tries
        tries++
        await this.#drop({ link, info }, { ...set, bitmap }, release.floor)
      }
    }
    return tries
  }

  /** Without this keeper, and counting only who is there, there would be enough. */
  #stillTooMany(keeper: KeeperId, set: BlockSet): readonly Uint8Array[] {
    const { book } = this.#parts
    const kept = this.#keptAt(keeper, set)
    const held = book.heldAt(set).filter(({ tag }) => tag !== keeper)
    const wanted = book.needs.contentAt(set).map(one => ({
      ...one,
      bitmap: intersection(intersection(one.bitmap, set.bitmap), kept)
    }))
    const factsOf = (id: KeeperId) => {
      const facts = book.factsOf(id)
      return facts?.state === 'held' ? facts : undefined
    }
    return assessWindow({ wanted, held, factsOf })
      .filter(
        ({ urgency, copies, redundancy }) => urgency === undefined && copies >= redundancy.copies
      )
      .map(({ bitmap }) => bitmap)
  }

  async #drop(
    { link, info }: { readonly link: HolderLink; readonly info: RosterEntry['info'] },
    blocks: BlockSet,
    floor: number
  ): Promise<void> {
    const { book, report } = this.#parts
    const entry = book.roster.get(info.id)
    if (entry === undefined) return
    try {
      const { signal } = this.#abort
      book.takeReceipt(entry, await dropBlocks(this.#parts, { link, blocks, floor, signal }))
    } catch (error) {
      if (!(error instanceof ReplicationError)) throw error
      if (error.code !== 'KEEP_LOCKED' && error.code !== 'CLOSED')
        report(`${info.name} did not drop copies that are too many`, error)
    }
  }

  #keptAt(keeper: KeeperId, { log, window }: BlockSetPlace): Uint8Array {
    return this.#parts.book.validAt({ keeper, log, window }) ?? emptyBitmap()
  }
}

type BlockSetPlace = Pick<BlockSet, 'log' | 'window'>

function neededAt(book: CustodyBook, place: BlockSetPlace): Uint8Array {
  return book.needs.contentAt(place).reduce((all, { bitmap }) => union(all, bitmap), emptyBitmap())
}

function addTo(sets: BlockSet[], set: BlockSet): void {
  const at = sets.findIndex(({ log, window }) => log === set.log && window === set.window)
  const known = sets[at]
  if (known === undefined) sets.push(set)
  else sets[at] = { ...known, bitmap: union(known.bitmap, set.bitmap) }
}
