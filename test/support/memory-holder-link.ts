/**
 * The far end of a link as recovery sees it: a keeper that has what it was given.
 *
 * @module
 */
import type { HolderLink, KeeperRefusal } from '../../src/replication/holder-link.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'

type RecoveryLink = Pick<HolderLink, 'id' | 'putSummary' | 'summaries' | 'putLocator'>

/** See the module. */
export class MemoryHolderLink implements RecoveryLink {
  readonly id: string
  /** What it was given, oldest first. */
  readonly given: Uint8Array[] = []
  /** The records it was given, oldest first. */
  readonly locators: Uint8Array[] = []
  /** What it says it was given; the newest unless a test says otherwise. */
  answer: (() => Promise<readonly Uint8Array[]>) | undefined
  /** Why it takes nothing, if it does not. */
  refusal: KeeperRefusal | undefined

  constructor(id: string) {
    this.id = id
  }

  async putSummary(summary: Uint8Array): Promise<void> {
    this.#refuse()
    this.given.push(summary)
  }

  async summaries(): Promise<readonly Uint8Array[]> {
    return this.answer?.() ?? this.given.slice(-1)
  }

  async putLocator(record: Uint8Array): Promise<void> {
    this.#refuse()
    this.locators.push(record)
  }

  /** As the rest of the code sees it. */
  asLink(): HolderLink {
    return this as unknown as HolderLink
  }

  #refuse(): void {
    if (this.refusal !== undefined) throw new ReplicationError(this.refusal, 'the keeper refuses')
  }
}
