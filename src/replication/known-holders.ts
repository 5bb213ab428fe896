/**
 * The holders of a drive, as its devices recorded them. Of a holder the statement of the highest
 * version counts, of equals the one with the larger hash, whatever the order in which they come.
 * Whoever is suspended removes no holder.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import { openHolderStatement, type HolderStatement } from '../crypto/holder-statement.ts'
import { equalBytes } from '../crypto/sodium.ts'
import { memberId, type Members } from '../sync/members.ts'

/** How many holders a drive has at most; what is said of more is not heard. */
export const HOLDERS_MAX = 64

/** How many holders are remembered as removed. */
export const REMOVED_HOLDERS_MAX = 1024

/** A holder of the drive. */
export interface Holder {
  /** Its signing key as 64 lowercase hexadecimal digits. */
  readonly id: string
  /** What counts of what was said of it. */
  readonly statement: HolderStatement
  /** The same, encoded. */
  readonly bytes: Uint8Array
}

/** What the holders of a drive rest on. */
export interface KnownHoldersParts {
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** Who belongs to the drive; borrowed. */
  readonly members: Members
}

/** The holders of a drive. */
export class KnownHolders {
  /** Told after the holders changed. */
  onChange: () => void = () => undefined
  readonly #parts: KnownHoldersParts
  readonly #holders = new Map<string, Holder>()

  /** @param parts - borrowed */
  constructor(parts: KnownHoldersParts) {
    this.#parts = parts
  }

  /** Those that were added and not removed, in the order of their keys. */
  all(): readonly Holder[] {
    const added = [...this.#holders.values()].filter(isAdded)
    return added.toSorted((left, right) => (left.id < right.id ? -1 : 1))
  }

  /** Those that were removed, the last of them first. */
  removed(): readonly Holder[] {
    const removed = [...this.#holders.values()].filter(holder => !isAdded(holder))
    return removed.toSorted((left, right) => right.statement.timeMs - left.statement.timeMs)
  }

  /** One of {@link all}. */
  byId(id: string): Holder | undefined {
    const holder = this.#holders.get(id)
    return holder !== undefined && isAdded(holder) ? holder : undefined
  }

  /** One of {@link all}, by its network key. */
  byNetwork(publicKey: Uint8Array): Holder | undefined {
    return this.all().find(({ statement }) => equalBytes(statement.network, publicKey))
  }

  /** The version that the next statement about a holder has, added before or not. */
  nextVersion(id: string): number {
    return (this.#holders.get(id)?.statement.version ?? 0) + 1
  }

  /**
   * Takes what was merged or is about to be recorded.
   *
   * @param bytes - a statement about anything, by anyone
   * @returns whether it is about a holder of this drive and counts
   */
  add(bytes: Uint8Array): boolean {
    const statement = opened(bytes)
    if (statement === undefined || !this.#mayState(statement)) return false
    const id = memberId(statement.holder)
    const known = this.#holders.get(id)
    if (known !== undefined && !isNewer(statement, known.statement)) return false
    if (known === undefined && !this.#hasRoom(statement)) return false
    this.#holders.set(id, { id, statement, bytes: bytes.slice() })
    this.onChange()
    return true
  }

  #mayState({ drive, signer, action }: HolderStatement): boolean {
    if (!equalBytes(drive, this.#parts.drive)) return false
    const member = this.#parts.members.bySigning(memberId(signer))
    return member !== undefined && (action === 'add' || !member.isSuspended)
  }

  #hasRoom({ action }: HolderStatement): boolean {
    const added = this.all().length
    const removed = this.#holders.size - added
    return action === 'add' ? added < HOLDERS_MAX : removed < REMOVED_HOLDERS_MAX
  }
}

function isAdded({ statement }: Holder): boolean {
  return statement.action === 'add'
}

function isNewer(statement: HolderStatement, than: HolderStatement): boolean {
  if (statement.version !== than.version) return statement.version > than.version
  return Buffer.compare(statement.hash, than.hash) > 0
}

/** Statements about members travel the same way, and a newer grove's may be of any kind. */
function opened(bytes: Uint8Array): HolderStatement | undefined {
  try {
    return openHolderStatement(bytes)
  } catch (error) {
    if (error instanceof CryptoError) return undefined
    throw error
  }
}
