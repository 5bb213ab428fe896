/**
 * Several replicas of one drive that do random things to it and exchange logs in random pieces,
 * and the oracle's answer to what each of them has merged.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Timestamp } from '../../src/sync/clock.ts'
import { logKey, type LogKey } from '../../src/sync/log.ts'
import { checkIndex } from './check-index.ts'
import { dumpIndex, treeOfIndex } from './index-tree.ts'
import { MemoryDrive, type DevicePair } from './memory-drive.ts'
import { randomCommand } from './model-command.ts'
import { operationOf } from './model-device.ts'
import { dump, treeOf, type ModelEntry } from './model.ts'
import { SeededRandom } from './seeded-random.ts'
import { VirtualClock } from './virtual-clock.ts'

/** The content log that random commands name blocks of. */
const CONTENT: DevicePair = {
  operationKey: logKey('c1'.repeat(32)),
  contentKey: logKey('c0'.repeat(32)),
  device: 'content'
}

/** A clock on which time passes while work is done: whoever asks twice gets another answer. */
class TickingClock extends VirtualClock {
  #ticks = 0

  override now(): Timestamp {
    const { sec, nsec } = super.now()
    this.#ticks += 1
    const ms = Math.floor(nsec / 1_000_000) + this.#ticks
    return { sec: sec + Math.floor(ms / 1000), nsec: (ms % 1000) * 1_000_000 }
  }
}

/** Replicas and what they did. */
export class ReplicaGroup {
  /** The drives. */
  readonly drives: readonly MemoryDrive[]
  /** Dice. */
  readonly random: SeededRandom
  #count = 0

  private constructor(drives: readonly MemoryDrive[], seed: number) {
    this.drives = drives
    this.random = new SeededRandom(seed)
  }

  /** Makes so many empty replicas. */
  static async create(count: number, seed: number): Promise<ReplicaGroup> {
    const clock = new TickingClock()
    const drives: MemoryDrive[] = []
    for (let at = 0; at < count; at++) {
      const drive = await MemoryDrive.create({ clock, device: `device ${String(at)}` })
      await drive.receive(CONTENT, [])
      drives.push(drive)
    }
    return new ReplicaGroup(drives, seed)
  }

  /** One of the drives. */
  pick(): MemoryDrive {
    const drive = this.drives[this.random.integer(this.drives.length)]
    if (!drive) throw new Error('there is at least one drive')
    return drive
  }

  /** Does something to the tree that a drive shows, if the dice allow it. */
  execute(drive: MemoryDrive): void {
    const tree = treeOfIndex(drive.replica.index)
    const source = { random: this.random, next: () => ++this.#count }
    const command = randomCommand(tree, source)
    if (command) drive.replica.execute(operationOf(tree, command))
  }

  /** A drive copies a few entries that another has, or all. */
  async learn(drive: MemoryDrive): Promise<void> {
    const entriesMax = this.random.integer(3) === 0 ? Infinity : 1 + this.random.integer(3)
    const other = this.pick()
    if (this.random.integer(2) === 0) await other.replica.commit()
    await drive.receiveFrom(other, entriesMax)
  }

  /** Everybody copies everything from everybody, and merges it. */
  async exchangeAll(): Promise<void> {
    for (const drive of this.drives) await drive.replica.commit()
    for (const drive of [...this.drives, ...this.drives]) await drive.catchUpWithAll(this.drives)
  }

  /** What a drive shows is the oracle's tree of what it has merged. @throws {AssertionError} */
  async check(drive: MemoryDrive): Promise<void> {
    await drive.replica.commit()
    await drive.replica.settled()
    const entries: ModelEntry[] = []
    for (const pair of drive.pairs) {
      const length = drive.replica.heads.get(pair.operationKey) ?? 0
      const merged = (await drive.entries(pair.operationKey)).slice(0, length)
      for (const [index, { lamport, time, heads, operations }] of merged.entries()) {
        const lengths = heads.map(head => [head.log, head.length] as [LogKey, number])
        const place = { log: pair.operationKey, index, device: pair.device }
        entries.push({ ...place, lamport, time, heads: new Map(lengths), operations })
      }
    }
    assert.equal(dumpIndex(drive.replica.index), dump(treeOf(entries)))
    checkIndex(drive.replica.index)
    assert.deepEqual(drive.replica.status.quarantined, [])
    assert.equal(drive.replica.status.failure, undefined)
  }

  /** Closes all. */
  async close(): Promise<void> {
    for (const drive of this.drives) await drive.close()
  }
}
