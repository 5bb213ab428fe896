/**
 * A drive in memory as the subject of random histories: it is closed, killed, cut off from power
 * and rebuilt in the middle, and its index is held against the oracle.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { ROOT_INODE, type Vfs } from '../../src/fs/vfs.ts'
import { ROOT_INO, type TreeIndex } from '../../src/sync/tree-index.ts'
import { checkIndex } from './check-index.ts'
import { dumpIndex } from './index-tree.ts'
import { MemoryDrive } from './memory-drive.ts'
import { MemoryKeyValueStore } from './memory-key-value-store.ts'
import { dump, treeOf } from './model.ts'
import { RecordedOperations } from './recorded-operations.ts'
import { SeededRandom } from './seeded-random.ts'
import type { VfsCommand } from './vfs-command.ts'
import type { HistorySubject } from './vfs-commands.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** Most writes that a loss of power keeps of those that were not synced. */
const KEPT_MAX = 4

/** One drive and what was recorded of it. */
export class DriveSubject implements HistorySubject {
  readonly #drive: MemoryDrive
  readonly #recorded: RecordedOperations
  readonly #random: SeededRandom

  private constructor(drive: MemoryDrive, seed: number) {
    this.#drive = drive
    this.#recorded = new RecordedOperations(drive.operationKey)
    this.#recorded.listenTo(drive.replica)
    this.#random = new SeededRandom(seed)
  }

  /** Makes an empty drive. @param seed - what reopening does follows from it */
  static async create(clock: VirtualClock, seed: number): Promise<DriveSubject> {
    const subject = new DriveSubject(await MemoryDrive.create({ clock }), seed)
    // The root of every drive is as old as time; that of the model was made just now.
    const now = clock.now()
    await subject.vfs.setattr(ROOT_INODE, { atime: now, mtime: now })
    return subject
  }

  /** The file system. */
  get vfs(): Vfs {
    return this.#drive.vfs
  }

  /** The index equals the oracle, and agrees with itself. @throws {AssertionError} */
  check(): void {
    const { index } = this.#drive.replica
    assert.equal(dumpIndex(index), dump(treeOf(this.#recorded.entries())))
    checkIndex(index)
  }

  /** Closes it and opens it again, in one of the ways that this can happen after a sync. */
  async reopen(): Promise<Vfs> {
    const drive = this.#drive
    switch (this.#random.integer(4)) {
      case 0:
        await drive.crash(undefined)
        break
      case 1:
        await drive.crash({ kept: this.#random.integer(KEPT_MAX) })
        break
      default:
        await drive.reopen({ rebuild: this.#random.integer(2) === 0 })
    }
    this.#recorded.listenTo(drive.replica)
    this.check()
    this.#checkNameless()
    return drive.vfs
  }

  /**
   * The process dies as it stands: what is opened again is what the log has, and so is what is
   * made anew from it.
   *
   * @param options - `numbers` says whether inode numbers must be the same in both
   */
  async crashAndCheck(options: { readonly numbers: boolean }): Promise<void> {
    const drive = this.#drive
    const kept = this.#random.integer(KEPT_MAX)
    await drive.crash(this.#random.integer(2) === 0 ? undefined : { kept })
    const entries = await drive.entries()
    this.#recorded.truncate(entries.length)
    assert.deepEqual(
      entries.map(({ operations }) => operations),
      this.#recorded.entries().map(({ operations }) => operations),
      'the log has what was recorded'
    )
    this.check()
    this.#checkNameless()
    const numbers = numbersOf(drive.replica.index)
    drive.store = new MemoryKeyValueStore()
    await drive.crash(undefined)
    this.check()
    if (options.numbers) assert.deepEqual(numbersOf(drive.replica.index), numbers)
  }

  /** What has no name is open, and nothing is open in what was just opened. */
  #checkNameless(): void {
    const { orphans } = this.#drive.replica.index
    assert.deepEqual([...orphans.between(0, Number.MAX_SAFE_INTEGER).keys()], [])
  }

  /** Closes it. */
  async close(): Promise<void> {
    await this.#drive.close()
  }
}

/** Files without a name are numbered apart, and anew when one that got a name is read again. */
export function withoutNameless(history: readonly VfsCommand[]): readonly VfsCommand[] {
  return history.map(command =>
    command.kind === 'tmpfile' ? { ...command, kind: 'create' } : command
  )
}

/** Every path and its inode's number. */
function numbersOf(index: TreeIndex, ino = ROOT_INO, path = ''): [string, number][] {
  return [...index.list(ino).values()]
    .toSorted((left, right) => (left.name < right.name ? -1 : 1))
    .flatMap(row => [
      [`${path}/${row.name}`, row.ino],
      ...(row.kind === 'directory' ? numbersOf(index, row.ino, `${path}/${row.name}`) : [])
    ])
}
