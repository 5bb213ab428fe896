/**
 * A keeper in this process, without a network: the real keeping side over logs in memory, and a
 * link that asks it in bytes. The test says when it is away, when it stalls and what it loses.
 *
 * @module
 */
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import type { CustodyMethod } from '../../src/replication/custody-message.ts'
import { KeeperLink } from '../../src/replication/keeper-link.ts'
import { answerMember, type KeeperCaller } from '../../src/replication/keeper-methods.ts'
import { KeeperPerson } from '../../src/replication/keeper-person.ts'
import { KeeperRecords } from '../../src/replication/keeper-records.ts'
import type { UploadDoor } from '../../src/replication/upload-grants.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import type { Clock } from '../../src/sync/clock.ts'
import { Members, type Member } from '../../src/sync/members.ts'
import { MemoryKeptLogs, type MemorySource } from './memory-kept-logs.ts'
import { MemoryKeyValueStore } from './memory-key-value-store.ts'
import type { ReplicatedDrive } from './replicated-drive.ts'
import { SeededRandom } from './seeded-random.ts'

/** What a {@link MemoryKeeper} needs. */
export interface MemoryKeeperOptions {
  /** Whose keeper it is. */
  readonly drive: ReplicatedDrive
  /** What the person's devices have. */
  readonly source: MemorySource
  readonly clock: Clock
  readonly quotaBytes?: number
  /** Keepers with different numbers have different keys. */
  readonly number?: number
}

/** One keeper of one person. */
export class MemoryKeeper {
  readonly keys: DeviceKeys
  readonly logs: MemoryKeptLogs
  readonly store = new MemoryKeyValueStore()
  readonly person: KeeperPerson
  /** Whether it is reachable. */
  isOnline = true
  /** Whether it takes requests and answers none. */
  isStalled = false
  /** Records of the hash table that it was given. */
  readonly locators: Uint8Array[] = []
  readonly #options: MemoryKeeperOptions
  readonly #random: SeededRandom

  constructor(options: MemoryKeeperOptions) {
    const { drive, source, clock, quotaBytes = 2 ** 40, number = 1 } = options
    this.#options = options
    this.#random = new SeededRandom(5000 + number)
    this.keys = DeviceKeys.generate(this.#random)
    this.logs = new MemoryKeptLogs(source)
    const members = new Members({
      identity: drive.identity,
      keys: drive.keys,
      statements: drive.statements
    })
    this.person = new KeeperPerson({
      self: {
        keyPair: this.keys.signing,
        machine: this.#random.bytes(16),
        clock,
        random: this.#random,
        onlineSec: () => 0
      },
      records: new KeeperRecords(this.store),
      identity: drive.identity,
      drive: drive.drive,
      members,
      logs: this.logs,
      quotaBytes
    })
  }

  /** The keeper as one of the person's devices sees it. */
  link(device: DeviceKeys, uploads?: UploadDoor): KeeperLink {
    const { drive, clock } = this.#options
    const member = this.person.members.byNetwork(device.network.publicKey)
    if (member === undefined) throw new Error('no member')
    return new KeeperLink({
      rpc: { ask: (method, bytes) => this.#ask(member, method, bytes) },
      keeper: this.keys.signing.publicKey,
      identity: drive.identity,
      drive: drive.drive,
      keyPair: device.signing,
      clock,
      random: this.#random,
      ...(uploads !== undefined && { uploads })
    })
  }

  async #ask(member: Member, method: CustodyMethod, bytes: Uint8Array): Promise<Uint8Array> {
    if (!this.isOnline) throw new ReplicationError('CLOSED', 'away')
    if (this.isStalled) return new Promise<Uint8Array>(() => undefined)
    if (method === 'hello') throw new Error('nobody has to greet')
    const { signal } = new AbortController()
    const caller: KeeperCaller = {
      person: this.person,
      member,
      signal,
      within: (_, work) => work(signal),
      onLocator: record => this.locators.push(record)
    }
    return (await answerMember(caller, method, bytes)).bytes
  }
}
