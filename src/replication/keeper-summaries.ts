/**
 * What recovery needs and a keeper cannot read: the newest summary of each device, and the
 * person's record of the hash table.
 *
 * @module
 */
import { PUBLIC_KEY_BYTES } from '../crypto/sodium.ts'
import { MEMBERS_MAX } from '../sync/member-list.ts'
import type { KeeperRecords } from './keeper-records.ts'
import type { KeeperSpace } from './keeper-space.ts'
import { ReplicationError } from './replication-error.ts'
import { SerialTurns } from './serial-turns.ts'

/** Of how many devices of one person summaries are kept at most. */
export const SUMMARIES_MAX = MEMBERS_MAX

/** What summaries are kept with; all borrowed. */
export interface KeeperSummariesParts {
  /** Where they are kept. */
  readonly records: KeeperRecords
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** What is counted. */
  readonly space: KeeperSpace
}

/** See the module. */
export class KeeperSummaries {
  readonly #parts: KeeperSummariesParts
  readonly #turns = new SerialTurns(1)

  /** @param parts - borrowed */
  constructor(parts: KeeperSummariesParts) {
    this.#parts = parts
  }

  /**
   * Keeps a device's summary in place of its older one.
   *
   * @param device - its signing key, 32 bytes
   * @throws {ReplicationError} `FULL`
   * @throws {SyncError} of the disk
   */
  put(device: Uint8Array, summary: Uint8Array): Promise<void> {
    return this.#turns.run('', async () => {
      const { records, identity, space } = this.#parts
      const before = records.summaries.get(identity, device)
      const added = summary.length - (before?.length ?? 0)
      if (before === undefined && this.#count() >= SUMMARIES_MAX)
        throw new ReplicationError('FULL', 'too many devices have summaries here')
      if (added > space.freeBytes)
        throw new ReplicationError('FULL', 'no room for what recovery needs')
      await records.commit([records.summaries.put(summary, identity, device)])
      space.addSummaryBytes(added)
    })
  }

  /**
   * The first summary of a device after this one, in the order of their signing keys.
   *
   * @param after - 32 bytes; zeros for the first
   */
  next(
    after: Uint8Array
  ): { readonly device: Uint8Array; readonly summary: Uint8Array } | undefined {
    const { records, identity } = this.#parts
    const from = after.length === PUBLIC_KEY_BYTES && after.some(byte => byte !== 0)
    for (const { rest, row } of records.summaries.rows([identity], from ? after : undefined))
      return { device: rest, summary: row }
    return undefined
  }

  /** The record of the hash table, if there is one. */
  get locator(): Uint8Array | undefined {
    return this.#parts.records.locators.get(this.#parts.identity)
  }

  /** Keeps the record of the hash table in place of an older one. @throws {SyncError} */
  async putLocator(record: Uint8Array): Promise<void> {
    const { records, identity } = this.#parts
    await records.commit([records.locators.put(record, identity)])
  }

  #count(): number {
    const { records, identity } = this.#parts
    return [...records.summaries.rows([identity])].length
  }
}
