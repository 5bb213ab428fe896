/**
 * An index that is given entries as they could arrive, and compared with the oracle: its view,
 * its counts, and what it says that changed.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { applyOperation } from '../../src/sync/apply-operation.ts'
import type { LogKey } from '../../src/sync/log.ts'
import { ROOT_INO, type TreeIndex } from '../../src/sync/tree-index.ts'
import type { ViewChanges } from '../../src/sync/view-changes.ts'
import { problemsOfIndex } from './check-index.ts'
import { dumpIndex } from './index-tree.ts'
import { applyEntry, NONE_OPEN, openIndex, recordModelEntry } from './memory-index.ts'
import { MemoryKeyValueStore } from './memory-key-value-store.ts'
import { dump, treeOf, type ModelEntry } from './model.ts'
import type { ModelDevice } from './model-device.ts'
import type { SeededRandom } from './seeded-random.ts'

/** An index and the entries it was given. */
export class MergingIndex {
  /** The index. */
  index: TreeIndex
  /** Every entry that was merged. */
  readonly merged: ModelEntry[] = []
  readonly #store: MemoryKeyValueStore
  readonly #devices = new Map<LogKey, string>()
  #open: ModelEntry | undefined
  #openTime = { sec: 0, nsec: 0 }
  readonly #lengths = new Map<LogKey, number>()

  private constructor(index: TreeIndex, store: MemoryKeyValueStore) {
    this.index = index
    this.#store = store
  }

  /** Makes an index that was given nothing. */
  static async create(): Promise<MergingIndex> {
    const store = new MemoryKeyValueStore()
    const made = new MergingIndex(await openIndex(store), store)
    made.#nameDevices()
    return made
  }

  /** How many entries of a log were merged. */
  lengthOf(log: LogKey): number {
    return this.#lengths.get(log) ?? 0
  }

  /** Takes an entry that can be merged now from those waiting, at random. */
  take(waiting: ModelEntry[], random: SeededRandom): ModelEntry {
    const ready = waiting.filter(
      ({ log, index, heads }) =>
        this.lengthOf(log) === index &&
        [...heads].every(([head, length]) => this.lengthOf(head) >= length)
    )
    const entry = ready[random.integer(ready.length)]
    if (!entry) throw new Error('no entry can be merged')
    waiting.splice(waiting.indexOf(entry), 1)
    return entry
  }

  /** Applies an entry of another device, without settling. */
  add(entry: ModelEntry): void {
    this.#devices.set(entry.log, entry.device)
    this.merged.push(entry)
    this.#lengths.set(entry.log, entry.index + 1)
    applyEntry(this.index, entry)
  }

  /** Does what a device did: executes its operations one by one and merges what it learned. */
  follow(device: ModelDevice, random: SeededRandom): void {
    const isNew = ({ log, index }: ModelEntry): boolean => index >= this.lengthOf(log)
    const { entries } = device
    const others = entries.filter(entry => entry.log !== device.log && isNew(entry))
    for (const own of entries.filter(entry => entry.log === device.log && isNew(entry))) {
      const isNext = [...own.heads].every(([log, length]) => this.lengthOf(log) >= length)
      if (!isNext) this.#mergeAll(others, own.heads, random)
      this.#execute(own)
    }
    if (others.length > 0) this.#mergeAll(others, undefined, random)
  }

  /** Merges what is waiting, all of it or up to some heads; the open entry is sealed before. */
  #mergeAll(
    waiting: ModelEntry[],
    heads: ReadonlyMap<LogKey, number> | undefined,
    random: SeededRandom
  ): void {
    this.#seal()
    const due = waiting.filter(({ log, index }) => !heads || index < (heads.get(log) ?? 0))
    for (const entry of due) waiting.splice(waiting.indexOf(entry), 1)
    while (due.length > 0) this.add(this.take(due, random))
    this.index.settle()
  }

  #execute(entry: ModelEntry): void {
    const { log, index, operations, time } = entry
    if (this.#open?.index !== index) this.#seal()
    const done = this.#open?.operations.length ?? 0
    if (!this.#open) this.#openTime = time
    this.#devices.set(log, entry.device)
    for (const [number, operation] of operations.entries()) {
      if (number < done) continue
      this.index.openEntry({ log, index, time })
      applyOperation(this.index, { log, index, number }, operation, NONE_OPEN)
      this.index.settle()
    }
    this.#open = { ...entry, operations: [...operations] }
  }

  #seal(): void {
    const entry = this.#open
    if (!entry) return
    this.#open = undefined
    this.merged.push(entry)
    this.#lengths.set(entry.log, entry.index + 1)
    recordModelEntry(this.index, entry)
    this.index.settle()
  }

  /** Writes the index and opens it again. */
  async reopen(): Promise<void> {
    this.index.freeze()
    const lengths = [...this.#lengths]
    await this.index.write(
      lengths.map(([log, length]) => ({ log, length, treeHash: new Uint8Array(32) }))
    )
    this.index = await openIndex(this.#store)
    this.#nameDevices()
  }

  /** Throws unless the index is what the oracle makes of these entries. */
  check(entries: readonly ModelEntry[] = this.merged): void {
    const open = this.#open
    // Until an entry is sealed its time is that at which it was opened.
    const known = entries.map(entry => {
      const isOpen = entry.log === open?.log && entry.index === open.index
      return isOpen ? { ...entry, time: this.#openTime } : entry
    })
    assertSameText(dumpIndex(this.index), dump(treeOf(known)))
    const problems = problemsOfIndex(this.index)
    assert.deepEqual(problems, [])
  }

  /** Settles. Throws unless every name that changed is said to have. */
  settleAndCheckChanges(before: ReadonlyMap<string, number>): ViewChanges {
    const changes = this.index.settle()
    const after = this.names()
    const told = new Set(changes.names.map(({ directory, name }) => `${directory}/${name}`))
    for (const key of new Set([...before.keys(), ...after.keys()])) {
      if (before.get(key) === after.get(key)) continue
      assert.ok(told.has(key), `${key} was ${before.get(key)}, is ${after.get(key)}, untold`)
    }
    return changes
  }

  /** What every name of every directory stands for, as a kernel would have it cached. */
  names(): ReadonlyMap<string, number> {
    const names = new Map<string, number>()
    const pending = [ROOT_INO]
    for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
      for (const { name, ino, kind } of this.index.list(directory).values()) {
        names.set(`${directory}/${name}`, ino)
        if (kind === 'directory') pending.push(ino)
      }
    }
    return names
  }

  #nameDevices(): void {
    this.index.deviceOf = log => this.#devices.get(log) ?? ''
  }
}

/** Equality of long texts: an error shows the first lines that differ. */
function assertSameText(got: string, wanted: string): void {
  if (got === wanted) return
  const [gotLines, wantedLines] = [got.split('\n'), wanted.split('\n')]
  const at = wantedLines.findIndex((line, i) => line !== gotLines[i])
  const part = (lines: readonly string[]): string =>
    lines.slice(Math.max(0, at - 3), at + 8).join('\n')
  assert.fail(`line ${at}:\ngot\n${part(gotLines)}\nwanted\n${part(wantedLines)}`)
}
