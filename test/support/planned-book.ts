/**
 * What a custodian knows, without a custodian: for trying its parts one by one.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Receipt } from '../../src/crypto/receipt.ts'
import { CUSTODY_SETTINGS_DEFAULT } from '../../src/replication/custodian-parts.ts'
import type { CustodianParts, KeeperInfo } from '../../src/replication/custodian-parts.ts'
import { CustodyBook } from '../../src/replication/custody-book.ts'
import { CustodyStore } from '../../src/replication/custody-store.ts'
import type { RosterEntry } from '../../src/replication/keeper-roster.ts'
import { rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { CONTENT, CustodyWorld } from './custody-world.ts'
import { MemoryKeyValueStore } from './memory-key-value-store.ts'
import type { SimulatedKeeper } from './simulated-keeper.ts'

/** A book and what is behind it. */
export interface PlannedBook {
  readonly world: CustodyWorld
  readonly parts: CustodianParts
  readonly book: CustodyBook
  readonly store: CustodyStore
  readonly keepers: readonly SimulatedKeeper[]
  /** A keeper's entry. */
  readonly entry: (keeper: SimulatedKeeper) => RosterEntry
  /** A keeper gives its receipt for blocks of the first window. */
  readonly receive: (keeper: SimulatedKeeper, from: number, to: number) => Receipt
}

/** A book with keepers that are connected and ready. */
export function plannedBook(
  keeperCount: number,
  changes: Partial<CustodianParts> = {},
  info: Partial<KeeperInfo> = {}
): PlannedBook {
  const world = new CustodyWorld({ seed: 1 })
  const keepers = Array.from({ length: keeperCount }, () => world.addKeeper(info))
  const store = new CustodyStore(new MemoryKeyValueStore())
  const unused = (): never => assert.fail('not used here')
  const parts: CustodianParts = {
    ...{ clock: world.clock, random: world.random, drive: world.drive, identity: world.identity },
    device: { id: 'dd'.repeat(32), name: 'this device' },
    mayRelease: unused,
    store,
    own: {
      counts: false,
      stored: () => rangeBitmap({ window: 0, from: 0, to: 1024 }),
      read: unused,
      obtain: unused,
      isGenuine: unused
    },
    signer: { release: unused, cancel: unused, lock: unused },
    keepers: () => [...world.infos.values()],
    onlineDevices: () => ['dd'.repeat(32)],
    operationLogs: () => new Map(),
    contentLength: () => 0,
    isAuthorAround: () => false,
    settings: () => CUSTODY_SETTINGS_DEFAULT,
    report: () => undefined,
    ...changes
  }
  const book = new CustodyBook(parts, store.load())
  const entry = (keeper: SimulatedKeeper): RosterEntry => {
    const found = book.roster.get(keeper.id)
    assert(found)
    return found
  }
  for (const keeper of keepers) {
    const connected = book.roster.connected(keeper.connect({ serve: () => undefined }))
    assert(connected)
    connected.isReady = true
    connected.usage = keeper.usage()
  }
  const receive = (keeper: SimulatedKeeper, from: number, to: number): Receipt => {
    const bitmap = rangeBitmap({ window: 0, from, to })
    const receipt = keeper.sign({ log: CONTENT, window: 0, bitmap })
    assert(book.takeReceipt(entry(keeper), receipt))
    return receipt
  }
  return { world, parts, book, store, keepers, entry, receive }
}
