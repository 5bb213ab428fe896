/**
 * Whom a keeper keeps for: invitations, and what is recorded of each person.
 *
 * An invitation is a secret with a quota. The first person who shows it is admitted, and it is used
 * up: whoever was admitted needs none any more. What is known of the members of a
 * person only grows: an older list changes nothing, and who was suspended stays out whatever list
 * they bring.
 *
 * @module
 */
import { ByteReader } from '../crypto/byte-reader.ts'
import { HOLDER_SECRET_BYTES } from '../crypto/holder-code.ts'
import { KeyTable } from '../crypto/key-table.ts'
import type { Random } from '../crypto/random.ts'
import { encodeShortText, readShortText } from '../crypto/short-text.ts'
import { blake2b, equalBytes } from '../crypto/sodium.ts'
import type { Clock } from '../sync/clock.ts'
import { Members, type Member } from '../sync/members.ts'
import type { KeeperRecords, PersonRow } from './keeper-records.ts'
import type { Hello } from './keeper-session.ts'
import { nowMs } from './wall-time.ts'

/** How many persons a keeper keeps for at most. */
export const PERSONS_MAX = 1024

/** How many invitations may be open at a time. */
export const INVITATIONS_MAX = 256

/** What an invitation grants. */
export interface InvitationTerms {
  /** How much is kept for whoever uses it, in bytes. */
  readonly quotaBytes: number
  /** Until when it can be used, in milliseconds since 1970; 0 for ever. */
  readonly expiresMs: number
  /** What the owner calls whoever uses it. */
  readonly name?: string
}

/** What admission works with; all borrowed. */
export interface KeeperAdmissionParts {
  /** Where it is recorded. */
  readonly records: KeeperRecords
  /** Time. */
  readonly clock: Clock
  /** Dice. */
  readonly random: Random
}

/** See the module. */
export class KeeperAdmission {
  readonly #parts: KeeperAdmissionParts

  /** @param parts - borrowed */
  constructor(parts: KeeperAdmissionParts) {
    this.#parts = parts
  }

  /**
   * Makes an invitation.
   *
   * @returns its secret, `HOLDER_SECRET_BYTES`; only its hash is recorded
   * @throws {RangeError} when there are more than {@link INVITATIONS_MAX}
   * @throws {SyncError} of the disk
   */
  async invite(terms: InvitationTerms): Promise<Uint8Array> {
    const { records, random } = this.#parts
    if ([...records.invitations.rows([])].length >= INVITATIONS_MAX) await this.#forgetExpired()
    const secret = random.bytes(HOLDER_SECRET_BYTES)
    const { quotaBytes, expiresMs, name } = terms
    const hash = blake2b(secret)
    const named = name === undefined ? [] : [records.names.put(encodeShortText(name), hash)]
    await records.commit([records.invitations.put({ quotaBytes, expiresMs }, hash), ...named])
    return secret
  }

  /** Whoever was admitted. */
  persons(): readonly { readonly identity: Uint8Array; readonly row: PersonRow }[] {
    return [...this.#parts.records.persons.rows([])].map(({ rest, row }) => ({
      identity: rest,
      row
    }))
  }

  /** Whether somebody may be let in, as far as it can be told without their statements. */
  mayGreet(hello: Hello): boolean {
    const known = this.#parts.records.persons.get(hello.identity)
    if (known === undefined) return hello.drive !== undefined && this.#terms(hello) !== undefined
    return hello.drive === undefined || equalBytes(hello.drive, known.drive)
  }

  /** The members of a person, as far as is recorded. @throws {SyncError} `DAMAGED` */
  members(identity: Uint8Array): Members {
    const rows = this.#parts.records.statements.rows([identity])
    const statements = [...rows].map(({ row }) => row)
    // Without keys the names of devices stay sealed.
    return new Members({ identity, keys: new KeyTable(), statements })
  }

  /**
   * Finds who calls, and keeps what they brought: genuine statements of this person, by the
   * identity or a device that was ever attested.
   *
   * @param members - of the person who is called
   * @returns undefined when the network key is that of no member, or of one that is suspended
   * @throws {SyncError} of the disk
   */
  async recognise(
    members: Members,
    { identity, statements, network }: Hello
  ): Promise<Member | undefined> {
    for (const statement of statements) members.addVouched(statement)
    const member = members.byNetwork(network)
    await this.#record(identity, members)
    return member !== undefined && this.isValid(member) ? member : undefined
  }

  /** Whether a member is neither suspended nor expired. */
  isValid({ isSuspended, expiresMs }: Member): boolean {
    return !isSuspended && (expiresMs === undefined || expiresMs > nowMs(this.#parts.clock))
  }

  /**
   * Admits a person whom an invitation lets in and whose device calls.
   *
   * @returns the device; undefined for strangers, of whom nothing is recorded
   * @throws {SyncError} of the disk
   */
  async admit(
    hello: Hello
  ): Promise<{ member: Member; members: Members; row: PersonRow } | undefined> {
    const { identity, drive, secret, statements, network } = hello
    const terms = this.#terms(hello)
    if (terms === undefined || drive === undefined || secret === undefined) return undefined
    if (this.persons().length >= PERSONS_MAX) return undefined
    const members = new Members({ identity, keys: new KeyTable() })
    for (const statement of statements) members.addVouched(statement)
    const member = members.byNetwork(network)
    if (member === undefined || !this.isValid(member)) return undefined
    const { records } = this.#parts
    const row = { drive, quotaBytes: terms.quotaBytes }
    const hash = blake2b(secret)
    const name = records.names.get(hash)
    await records.commit([
      records.persons.put(row, identity),
      records.invitations.remove(hash),
      records.names.remove(hash),
      ...(name === undefined ? [] : [records.names.put(name, identity)]),
      ...members.statements().map(one => records.statements.put(one, identity, blake2b(one)))
    ])
    return { member, members, row }
  }

  /** Changes a quota; what is kept already stays. @throws {SyncError} of the disk */
  async setQuota(identity: Uint8Array, quotaBytes: number): Promise<void> {
    const { records } = this.#parts
    const row = records.persons.get(identity)
    if (row !== undefined)
      await records.commit([records.persons.put({ ...row, quotaBytes }, identity)])
  }

  /** What the owner calls a person; empty when they do not. @throws {SyncError} `DAMAGED` */
  nameOf(identity: Uint8Array): string {
    const encoded = this.#parts.records.names.get(identity)
    return encoded === undefined ? '' : readShortText(new ByteReader(encoded))
  }

  /**
   * Calls a person something else, or nothing when the name is empty.
   *
   * @throws {RangeError} when it is no short text
   * @throws {SyncError} of the disk
   */
  async setName(identity: Uint8Array, name: string): Promise<void> {
    const { names } = this.#parts.records
    const change = name === '' ? names.remove(identity) : names.put(encodeShortText(name), identity)
    await this.#parts.records.commit([change])
  }

  /** What the secret grants whoever shows it. */
  #terms({ secret }: Hello): InvitationTerms | undefined {
    if (secret === undefined) return undefined
    const row = this.#parts.records.invitations.get(blake2b(secret))
    if (row === undefined) return undefined
    const isExpired = row.expiresMs !== 0 && row.expiresMs <= nowMs(this.#parts.clock)
    return isExpired ? undefined : row
  }

  async #record(identity: Uint8Array, members: Members): Promise<void> {
    const { records } = this.#parts
    const news = members
      .statements()
      .map(statement => ({ statement, hash: blake2b(statement) }))
      .filter(({ hash }) => records.statements.get(identity, hash) === undefined)
    if (news.length === 0) return
    await records.commit(
      news.map(({ statement, hash }) => records.statements.put(statement, identity, hash))
    )
  }

  async #forgetExpired(): Promise<void> {
    const { records, clock } = this.#parts
    const now = nowMs(clock)
    const rows = [...records.invitations.rows([])]
    const expired = rows.filter(({ row }) => row.expiresMs !== 0 && row.expiresMs <= now)
    if (expired.length === 0) throw new RangeError(`${rows.length} invitations are open`)
    await records.commit(
      expired.flatMap(({ rest }) => [records.invitations.remove(rest), records.names.remove(rest)])
    )
  }
}
