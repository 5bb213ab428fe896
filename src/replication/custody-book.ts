/**
 * What a device knows of the copies of a drive: receipts, needs, who is there and what is here,
 * put together window by window. It asks nobody for anything.
 *
 * @module
 */
import type { Receipt } from '../crypto/receipt.ts'
import { equalBytes } from '../crypto/sodium.ts'
import { countBits, intersection } from '../sync/block-bitmap.ts'
import { logKey } from '../sync/log.ts'
import { memberId } from '../sync/members.ts'
import type { Redundancy } from '../sync/redundancy.ts'
import type { TaggedBlocks } from './copy-groups.ts'
import type { CustodianParts } from './custodian-parts.ts'
import { CustodyLedger, validBlocks } from './custody-ledger.ts'
import type { KeptWindow, LedgerRow } from './custody-ledger.ts'
import { CustodyNeeds } from './custody-needs.ts'
import type { LogWindowPlace } from './custody-needs.ts'
import type { RememberedCustody } from './custody-store.ts'
import type { KeeperId } from './holder-link.ts'
import { KeeperRoster } from './keeper-roster.ts'
import type { RosterEntry } from './keeper-roster.ts'
import { nowMs } from './wall-time.ts'
import { assessLacking, assessWindow } from './window-assessment.ts'
import type { AssessedGroup, CopyFacts } from './window-assessment.ts'

/** Marks who is being asked to keep blocks: it counts for what is still to be asked for. */
const COMING = '+'

/** How a receipt came. */
export interface ReceiptContext {
  /** Blocks that the keeper was just asked to keep: those of the receipt count again. */
  readonly held?: Uint8Array
  /** Whether it counts its receipts anew, so that this one is newer whatever its number. */
  readonly isAnew?: boolean
}

/** See the module. */
export class CustodyBook {
  /** Told in the same tick when the copies of a window, or what counts of them, changed. */
  onTouch: (place: LogWindowPlace) => void = () => undefined
  /** The receipts. */
  readonly ledger = new CustodyLedger()
  /** What is to be kept. */
  readonly needs = new CustodyNeeds()
  /** Who keeps. */
  readonly roster: KeeperRoster
  readonly #parts: CustodianParts
  readonly #totals = new Map<KeeperId, { readonly blocks: number; readonly bytes: number }>()

  /** @param remembered - what the store has; receipts of whoever is no keeper are forgotten */
  constructor(parts: CustodianParts, remembered: RememberedCustody) {
    const { clock, device, store, settings } = parts
    this.#parts = parts
    const graceMs = (): number => settings().graceMs
    this.roster = new KeeperRoster({ clock, device, store, graceMs }, remembered.keepers)
    this.roster.set(parts.keepers())
    for (const row of remembered.rows) {
      if (this.roster.get(row.keeper) === undefined) store.removeReceipt(row)
      else this.ledger.put(row)
    }
    for (const id of remembered.damaged) {
      const entry = this.roster.get(id)
      if (entry !== undefined) entry.synced = 0
    }
  }

  /**
   * Takes a keeper's receipt.
   *
   * @returns whether it is by this keeper and about this drive
   */
  takeReceipt(entry: RosterEntry, receipt: Receipt, how: ReceiptContext = {}): boolean {
    if (!this.#isOurs(entry, receipt)) return false
    const keeper = entry.info.id
    if (receipt.sequence === entry.synced + 1) entry.synced = receipt.sequence
    const { window, bitmap, sequence, bytes } = receipt
    const place = { keeper, log: logKey(memberId(receipt.log)), window }
    const known = this.ledger.row(place)
    if (how.isAnew === true && known?.sequence !== sequence) this.ledger.remove(place)
    const { sinceMs = nowMs(this.#parts.clock), provenMs = 0, doubted } = known ?? {}
    let row = this.ledger.put({
      ...{ ...place, bitmap, sequence, bytes, sinceMs, provenMs, doubted }
    })
    if (how.held !== undefined)
      row = this.ledger.trust(place, intersection(how.held, bitmap)) ?? row
    if (row !== undefined) {
      this.#parts.store.putReceipt(row, receipt.statement)
      this.#changed(row)
    }
    if (this.roster.saidMachine(entry, memberId(receipt.machine))) this.touchKeeper(keeper)
    return true
  }

  /**
   * A keeper has no receipt of some windows any more: it lost what it had.
   *
   * @param kept - which windows it still has receipts for
   */
  forgetOthers(keeper: KeeperId, kept: (place: LogWindowPlace) => boolean): void {
    for (const row of [...this.ledger.rowsOf(keeper)]) if (!kept(row)) this.#remove(row)
  }

  /** Blocks of a keeper stop counting: it could not prove them, or asked for them again. */
  doubt(place: KeptWindow, bitmap: Uint8Array): boolean {
    const row = this.ledger.doubt(place, bitmap)
    if (row === undefined) return false
    this.#parts.store.putReceipt(row)
    this.#changed(row)
    return true
  }

  /** A keeper proved blocks of a window. */
  prove(place: KeptWindow): void {
    const row = this.ledger.prove(place, nowMs(this.#parts.clock))
    if (row !== undefined) this.#parts.store.putReceipt(row)
  }

  /** Forgets all receipts of a keeper. */
  forget(keeper: KeeperId): void {
    for (const row of [...this.ledger.rowsOf(keeper)]) this.#remove(row)
    this.ledger.forget(keeper)
    this.#totals.delete(keeper)
  }

  /** What a keeper's copies are worth changed. */
  touchKeeper(keeper: KeeperId): void {
    for (const row of this.ledger.rowsOf(keeper)) this.onTouch(row)
  }

  /** The blocks of a window that are on this device and count. */
  ownAt(place: LogWindowPlace): Uint8Array | undefined {
    if (this.needs.isOperations(place.log)) return this.needs.operationsAt(place)
    const { own } = this.#parts
    return own.counts ? own.stored(place.log, place.window) : undefined
  }

  /** The blocks of a window of content that are on this device, for however long. */
  storedAt({ log, window }: LogWindowPlace): Uint8Array {
    return this.#parts.own.stored(log, window)
  }

  /** Who has which blocks of a window, this device too. */
  heldAt(place: LogWindowPlace): readonly TaggedBlocks<KeeperId>[] {
    const held = this.ledger
      .rowsAt(place.log, place.window)
      .map(row => ({ tag: row.keeper, bitmap: validBlocks(row) }))
    const own = this.ownAt(place)
    return own === undefined ? held : [{ tag: this.#parts.device.id, bitmap: own }, ...held]
  }

  /** Compares the copies of a window's content to what is asked for. */
  assess(place: LogWindowPlace): readonly AssessedGroup[] {
    const wanted = this.needs.contentAt(place)
    if (wanted.length === 0) return []
    return assessWindow({ wanted, held: this.heldAt(place), factsOf: id => this.factsOf(id) })
  }

  /**
   * Compares as {@link CustodyBook.assess} does; what has all of its copies may be left out.
   *
   * @param coming - who is being asked to keep which blocks: taken to keep them
   */
  assessLacking(
    place: LogWindowPlace,
    coming: readonly TaggedBlocks<KeeperId>[]
  ): readonly AssessedGroup[] {
    const wanted = this.needs.contentAt(place)
    if (wanted.length === 0) return []
    const asked = coming.map(({ tag, bitmap }) => ({ tag: COMING + tag, bitmap }))
    const held = [...this.heldAt(place), ...asked]
    return assessLacking({ wanted, held, factsOf: id => this.factsOf(id) })
  }

  /** Compares the copies of a window of operations to a level. */
  assessOperations(place: LogWindowPlace, redundancy: Redundancy): readonly AssessedGroup[] {
    const wanted = [{ bitmap: this.needs.operationsAt(place), redundancy, bytes: 0 }]
    return assessWindow({ wanted, held: this.heldAt(place), factsOf: id => this.factsOf(id) })
  }

  /** Where a computer stands; of one that is being asked too. */
  factsOf(id: KeeperId): CopyFacts | undefined {
    if (!id.startsWith(COMING)) return this.roster.factsOf(id)
    const facts = this.roster.factsOf(id.slice(COMING.length))
    return facts && { ...facts, state: facts.state === 'failed' ? 'failed' : 'held' }
  }

  /** The blocks of a window that count for a keeper, as far as the ledger knows. */
  validAt(place: KeptWindow): Uint8Array | undefined {
    const row = this.ledger.row(place)
    return row && validBlocks(row)
  }

  /** How much a keeper keeps. */
  totalOf(keeper: KeeperId): { readonly blocks: number; readonly bytes: number } {
    const total = this.#totals.get(keeper) ?? this.ledger.totalOf(keeper)
    this.#totals.set(keeper, total)
    return total
  }

  /** How much content a keeper keeps: operations are left out. */
  contentOf(keeper: KeeperId): { readonly blocks: number; readonly bytes: number } {
    let [blocks, bytes] = [0, 0]
    for (const row of this.ledger.rowsOf(keeper)) {
      if (this.needs.isOperations(row.log)) continue
      const valid = countBits(validBlocks(row))
      blocks += valid
      bytes += (row.bytes * valid) / Math.max(1, countBits(row.bitmap))
    }
    return { blocks, bytes: Math.round(bytes) }
  }

  #isOurs({ info }: RosterEntry, { identity, drive, signer }: Receipt): boolean {
    const ours = this.#parts
    const isForUs = equalBytes(identity, ours.identity) && equalBytes(drive, ours.drive)
    return isForUs && memberId(signer) === info.id
  }

  #remove(row: LedgerRow): void {
    this.ledger.remove(row)
    this.#parts.store.removeReceipt(row)
    this.#changed(row)
  }

  #changed(row: LedgerRow): void {
    this.#totals.delete(row.keeper)
    this.onTouch(row)
  }
}
