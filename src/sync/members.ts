/**
 * Who belongs to the drive: a set of verified member statements and the list that follows from it.
 *
 * The list depends on the set alone, never on the order in which statements arrived (see
 * `member-list.ts` for the rules). Statements that the list does not rest on yet, because who
 * signed them or what they follow has not arrived, are kept and wait.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import { openDeviceName } from '../crypto/device-name.ts'
import {
  openMemberStatement,
  type MemberStatement,
  type Right
} from '../crypto/member-statement.ts'
import { blake2b, equalBytes } from '../crypto/sodium.ts'
import type { KeyTable } from '../crypto/key-table.ts'
import { listMembers, type KnownStatement, type ListHead, type MemberList } from './member-list.ts'

/** How many statements are kept at most. */
export const MEMBER_STATEMENTS_MAX = 1024
/** How many statements of one device are kept at most, so that one cannot crowd out the rest. */
export const MEMBER_STATEMENTS_PER_SIGNER_MAX = 256
/** How many bytes of statements are kept at most. */
export const MEMBER_STATEMENTS_BYTES_MAX = 8 * 1024 * 1024

/** How many statements are kept that nothing on the list rests on and no member signed. */
export const MEMBER_STATEMENTS_WAITING_MAX = 128
/**
 * What part of the room, in statements and in bytes, is left for suspensions by members, and as
 * much again for the identity: whoever fills the rest up can still be put out.
 */
export const MEMBER_STATEMENTS_RESERVED_PART = 1 / 16

/** A device that belongs to the drive, or did until it was suspended. */
export interface Member {
  /** Its signing key as 64 lowercase hexadecimal digits. */
  readonly id: string
  /** Verifies its statements; Ed25519, 32 bytes. */
  readonly signing: Uint8Array
  /** Drive keys are sealed to it; X25519, 32 bytes. */
  readonly box: Uint8Array
  /** Its connections come from it; Ed25519, 32 bytes. */
  readonly network: Uint8Array
  /** What its owner calls it; the beginning of its id while no key here opens the name. */
  readonly name: string
  /** What it may do; nobody passes on more than they have. */
  readonly rights: readonly Right[]
  /** Until when, in milliseconds since 1970; absent for ever. */
  readonly expiresMs?: number
  /** Whether it was suspended or revoked: its later entries do not count. */
  readonly isSuspended: boolean
  /** Its attestation. */
  readonly statement: Uint8Array
}

/**
 * What became of a statement: `added` the list rests on it, `known` it was here before,
 * `waiting` kept until what it needs arrives, `refused` not genuine, not ours or too many.
 */
export type StatementOutcome = 'added' | 'known' | 'waiting' | 'refused'

/** The id of a device with this signing key: 64 lowercase hexadecimal digits. */
export function memberId(signing: Uint8Array): string {
  return hexOf(signing)
}

/** The members of one drive. */
export class Members {
  /** Called, in the same tick, after statements changed the list. */
  onChange: () => void = () => undefined

  readonly #identity: Uint8Array
  readonly #keys: KeyTable
  readonly #known = new Map<string, KnownStatement>()
  readonly #names = new Map<string, string>()
  #list: MemberList = listMembers([])
  #members: readonly Member[] = []
  #bySigning = new Map<string, Member>()
  #byNetwork = new Map<string, Member>()
  #bytes = 0
  #refused = 0

  /**
   * @param input.identity - the person's signing key, 32 bytes: the root of all trust
   * @param input.keys - opens names; borrowed, may grow
   * @param input.statements - what is known at start; {@link Members.onChange} is not called
   */
  constructor(input: {
    readonly identity: Uint8Array
    readonly keys: KeyTable
    readonly statements?: Iterable<Uint8Array>
  }) {
    this.#identity = input.identity
    this.#keys = input.keys
    for (const bytes of input.statements ?? []) this.#keep(bytes)
    this.#rebuild()
    this.#evict(MEMBER_STATEMENTS_WAITING_MAX)
  }

  /** How many statements were refused. */
  get refused(): number {
    return this.#refused
  }

  /** How many statements wait for something that has not arrived. */
  get waiting(): number {
    return this.#known.size - this.#list.effective.size
  }

  /** What the statement that this device signs next follows. */
  get head(): ListHead {
    return this.#list.head
  }

  /**
   * Takes a statement, after verifying everything about it.
   *
   * @param bytes - from anyone; copied
   */
  add(bytes: Uint8Array): StatementOutcome {
    return this.#add(bytes, () => true)
  }

  /**
   * Takes a statement if the identity signed it, or a device that was ever attested, as far as is
   * known by now; see {@link Members.add}. Who has no more than a drive key adds nothing so.
   *
   * @param bytes - from anyone; copied
   */
  addVouched(bytes: Uint8Array): StatementOutcome {
    return this.#add(bytes, ({ signer }) => {
      return equalBytes(signer, this.#identity) || this.#list.claimed.has(hexOf(signer))
    })
  }

  #add(bytes: Uint8Array, admits: (statement: MemberStatement) => boolean): StatementOutcome {
    const before = this.#list.effective
    const outcome = this.#keep(bytes, admits)
    if (typeof outcome === 'string') return outcome
    this.#rebuild()
    const { effective } = this.#list
    this.#evict(MEMBER_STATEMENTS_WAITING_MAX)
    if (!sameSet(before, effective)) this.onChange()
    return effective.has(outcome.hash) ? 'added' : 'waiting'
  }

  /** All members, suspended ones too: the oldest attestation first. */
  all(): readonly Member[] {
    return this.#members
  }

  /** The member of this id; see {@link memberId}. */
  bySigning(id: string): Member | undefined {
    return this.#bySigning.get(id)
  }

  /** Whether a key is the person's own, or that of a device that has a right and is not put out. */
  hasRight(signer: Uint8Array, right: Right): boolean {
    if (equalBytes(signer, this.#identity)) return true
    const member = this.#bySigning.get(memberId(signer))
    return member?.isSuspended === false && member.rights.includes(right)
  }

  /** The member whose connections come from this network key, 32 bytes. */
  byNetwork(publicKey: Uint8Array): Member | undefined {
    return this.#byNetwork.get(hexOf(publicKey))
  }

  /** All statements whose chain is here, each after what it follows: another makes this list. */
  statements(): readonly Uint8Array[] {
    return [...this.#list.chained.values()].map(known => known.bytes)
  }

  #keep(
    bytes: Uint8Array,
    admits: (statement: MemberStatement) => boolean = () => true
  ): KnownStatement | 'known' | 'refused' {
    const hash = hexOf(blake2b(bytes))
    if (this.#known.has(hash)) return 'known'
    const statement = this.#opened(bytes)
    const isTaken =
      statement !== undefined && admits(statement) && this.#makesRoom(statement, bytes.length)
    if (!isTaken) {
      this.#refused++
      return 'refused'
    }
    const isRoot = equalBytes(statement.signer, this.#identity)
    const signer = hexOf(statement.signer)
    const subject = hexOf(statement.subject.signing)
    const previous = hexOf(statement.previous)
    const copy = new Uint8Array(bytes)
    const known = { hash, previous, signer, subject, isRoot, statement, bytes: copy }
    this.#known.set(hash, known)
    this.#bytes += copy.length
    return known
  }

  /** Nothing when it is not genuine, or cannot be true whatever else arrives. */
  #opened(bytes: Uint8Array): MemberStatement | undefined {
    let statement: MemberStatement
    try {
      statement = openMemberStatement(bytes)
    } catch {
      return undefined
    }
    if (!equalBytes(statement.identity, this.#identity)) return undefined
    const isDevices = statement.action === 'attest' || statement.action === 'suspend'
    return isDevices || equalBytes(statement.signer, this.#identity) ? statement : undefined
  }

  /** Those that wait are given up first. */
  #makesRoom(statement: MemberStatement, bytes: number): boolean {
    if (!this.#hasRoomOfSigner(statement)) return false
    if (this.#hasRoom(statement, bytes)) return true
    this.#rebuild()
    this.#evict(0)
    return this.#hasRoom(statement, bytes)
  }

  #hasRoom({ signer, action }: MemberStatement, bytes: number): boolean {
    const isRoot = equalBytes(signer, this.#identity)
    const isReserved = action === 'suspend' && this.#bySigning.has(hexOf(signer))
    const partsLeft = isRoot ? 0 : isReserved ? 1 : 2
    const part = 1 - partsLeft * MEMBER_STATEMENTS_RESERVED_PART
    const hasPlace = this.#known.size < part * MEMBER_STATEMENTS_MAX
    return hasPlace && this.#bytes + bytes <= part * MEMBER_STATEMENTS_BYTES_MAX
  }

  #hasRoomOfSigner({ signer }: MemberStatement): boolean {
    if (equalBytes(signer, this.#identity)) return true
    const id = hexOf(signer)
    let count = 0
    for (const known of this.#known.values()) if (known.signer === id) count++
    return count < MEMBER_STATEMENTS_PER_SIGNER_MAX
  }

  /** Gives up the oldest of those that wait, beyond a number; they change nothing on the list. */
  #evict(count: number): void {
    const waiting = [...this.#known.values()].filter(known => this.#isWaiting(known))
    const evicted = waiting.slice(0, Math.max(0, waiting.length - count))
    if (evicted.length === 0) return
    for (const { hash, bytes } of evicted) {
      this.#known.delete(hash)
      this.#names.delete(hash)
      this.#bytes -= bytes.length
    }
    this.#rebuild()
  }

  /** Whether a statement of no member carries nothing on the list, or what it follows is missing. */
  #isWaiting({ hash, isRoot, signer }: KnownStatement): boolean {
    if (isRoot || this.#list.carrying.has(hash)) return false
    const isMembers = this.#bySigning.get(signer)?.isSuspended === false
    return !isMembers || !this.#list.chained.has(hash)
  }

  #rebuild(): void {
    this.#list = listMembers(this.#known.values())
    this.#members = this.#list.members.map(({ attestation, rights, isSuspended }) => {
      const { statement, subject: id, bytes } = attestation
      const { expiresMs } = statement
      const expiry = expiresMs === undefined ? {} : { expiresMs }
      const name = this.#nameOf(attestation)
      return { id, ...statement.subject, name, rights, ...expiry, isSuspended, statement: bytes }
    })
    // The first of several with one network key: no later attestation takes a device's place.
    const oldestLast = this.#members.toReversed()
    this.#bySigning = new Map(oldestLast.map(member => [member.id, member]))
    this.#byNetwork = new Map(oldestLast.map(member => [hexOf(member.network), member]))
  }

  #nameOf({ hash, subject, statement }: KnownStatement): string {
    const known = this.#names.get(hash)
    if (known !== undefined) return known
    let name = subject.slice(0, ID_SHOWN_DIGITS)
    try {
      const { sealedName: sealed } = statement
      name = openDeviceName({ sealed, device: statement.subject.signing, keys: this.#keys })
    } catch (error) {
      if (error instanceof CryptoError && error.code === 'UNKNOWN_KEY') return name
    }
    this.#names.set(hash, name)
    return name
  }
}

const ID_SHOWN_DIGITS = 8

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}

function sameSet(left: ReadonlySet<string>, right: ReadonlySet<string>): boolean {
  return left.size === right.size && [...left].every(key => right.has(key))
}
