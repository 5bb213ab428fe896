/**
 * A table is a map: whatever is frozen, written, failing to be written or read again, it answers
 * as the naive map does, and the store has exactly what was written.
 */
import assert from 'node:assert/strict'
import t, { type Test } from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import { RowSealer } from '../../src/crypto/row-sealer.ts'
import { ByteReader } from '../../src/sync/byte-reader.ts'
import type { ByteWriter } from '../../src/sync/byte-writer.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { ROWS_CACHED_MAX, TableSet, type Table } from '../../src/sync/table.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const SEEDS = 40
const STEPS = 150
const GROUPS = [0, 1, 2, 3, 255, 256, 2 ** 40, Number.MAX_SAFE_INTEGER - 1]
const SUBS = ['', 'a', 'b', '\xff', '\0', 'aa']

interface NamedRow {
  readonly name: string
  readonly value: number
}

type Rows = Map<string, number>

/** Two tables of one set, one of which keeps its sub keys hashed in the store. */
interface Tables {
  readonly set: TableSet
  readonly plain: Table<number>
  readonly hashed: Table<NamedRow>
}

function tablesOver(store: MemoryKeyValueStore): Tables {
  const random = new SeededRandom(3)
  const sealer = new RowSealer({ key: new Uint8Array(32).fill(5), random })
  const set = new TableSet({ store, sealer })
  const format = { number: 7, encode: encodeNumber, decode: decodeNumber }
  // So small that rows are looked for in the store again.
  const plain = set.table<number>({ ...format, cachedMax: 2 })
  const hashed = set.table<NamedRow>({
    number: 8,
    encode: encodeNamed,
    decode: decodeNamed,
    storedSub: (group, name) => sealer.hashName(group, name),
    subOf: row => row.name
  })
  return { set, plain, hashed }
}

function encodeNumber(out: ByteWriter, value: number): void {
  out.varint(value)
}

function decodeNumber(bytes: Uint8Array): number {
  return new ByteReader(bytes).varint()
}

function encodeNamed(out: ByteWriter, { name, value }: NamedRow): void {
  out.varint(value)
  out.latin1(name)
}

function decodeNamed(bytes: Uint8Array): NamedRow {
  const reader = new ByteReader(bytes)
  return { value: reader.varint(), name: reader.latin1(reader.remaining) }
}

const keyOf = (group: number, sub: string): string => `${group}/${sub}`

/** Going through a table in steps gives each row once, in order, up to a group. */
function checkPages({ plain }: Tables, model: Rows, random: SeededRandom): void {
  const [to, countMax] = [pick(GROUPS, random), 1 + random.integer(5)]
  const found: string[] = []
  let page = plain.page({ after: undefined, to, countMax })
  while (page.length > 0) {
    assert.ok(page.length <= countMax)
    for (const { group, sub, value } of page) found.push(`${keyOf(group, sub)}=${value}`)
    page = plain.page({ after: page.at(-1), to, countMax })
  }
  const expected = GROUPS.filter(group => group < to).flatMap(group =>
    SUBS.toSorted().flatMap(sub => {
      const value = model.get(keyOf(group, sub))
      return value === undefined ? [] : [`${keyOf(group, sub)}=${value}`]
    })
  )
  assert.deepEqual(found, expected)
}

/** All that the tables show, in every way they can be asked. */
function checkAll(tables: Tables, model: Rows, random: SeededRandom): void {
  const { plain, hashed } = tables
  checkPages(tables, model, random)
  for (const group of GROUPS) {
    const expected = new Map<string, number>()
    for (const sub of SUBS) {
      const value = model.get(keyOf(group, sub))
      if (value !== undefined) expected.set(sub, value)
      assert.equal(plain.peek(group, sub), value)
      assert.equal(plain.get(group, sub), value)
      assert.equal(hashed.get(group, sub)?.value, value)
    }
    assert.deepEqual(sorted(plain.entries(group)), sorted(expected))
    const named = [...hashed.entries(group)].map(([sub, row]) => [sub, row.value] as const)
    assert.deepEqual(sorted(new Map(named)), sorted(expected))
  }
  const [from = 0, to = 0] = [pick(GROUPS, random), pick(GROUPS, random)].toSorted((a, b) => a - b)
  const shown = new Map<string, number>()
  for (const [group, rows] of plain.between(from, to)) {
    assert.notEqual(rows.size, 0, 'a group without rows is left out')
    for (const [sub, value] of rows) shown.set(keyOf(group, sub), value)
  }
  const within = [...model].filter(([key]) => {
    const group = Number.parseInt(key, 10)
    return group >= from && group < to
  })
  assert.deepEqual(sorted(shown), sorted(new Map(within)))
}

function sorted(rows: ReadonlyMap<string, number>): [string, number][] {
  return [...rows].sort(([left], [right]) => (left < right ? -1 : 1))
}

function pick<T>(from: readonly T[], random: SeededRandom): T {
  const picked = from[random.integer(from.length)]
  if (picked === undefined) throw new Error('nothing to pick from')
  return picked
}

/** Tables beside a naive map, and what the store must have. */
class TablesRun {
  readonly store = new MemoryKeyValueStore()
  readonly random: SeededRandom
  tables = tablesOver(this.store)
  model: Rows = new Map()
  #frozen: Rows | undefined
  #stored: Rows = new Map()
  #lastValue = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
  }

  async step(): Promise<void> {
    const { random, tables } = this
    switch (random.integer(10)) {
      case 0:
        if (!tables.set.isFrozen) {
          tables.set.freeze()
          this.#frozen = new Map(this.model)
        }
        return
      case 1:
        return this.#write()
      case 2:
        if (random.integer(4) === 0) this.#reopen()
        return
      default:
        return this.#change()
    }
  }

  #change(): void {
    const { random, tables, model } = this
    const [group, sub] = [pick(GROUPS, random), pick(SUBS, random)]
    if (random.integer(3) === 0) {
      tables.plain.delete(group, sub)
      tables.hashed.delete(group, sub)
      model.delete(keyOf(group, sub))
      return
    }
    const value = ++this.#lastValue
    tables.plain.put(group, sub, value)
    tables.hashed.put(group, sub, { name: sub, value })
    model.set(keyOf(group, sub), value)
  }

  /** Writes, while more is changed; the store may refuse. */
  async #write(): Promise<void> {
    const fails = this.random.integer(3) === 0
    this.store.failure = fails ? new SyncError('NO_SPACE', 'by the test') : undefined
    const writing = this.tables.set.write()
    for (let i = this.random.integer(4); i > 0; i--) this.#change()
    checkAll(this.tables, this.model, this.random)
    const hadChanges = await writing.then(
      () => true,
      (error: unknown) => {
        assert.equal((error as SyncError).code, 'NO_SPACE')
        return false
      }
    )
    if (!hadChanges) return
    assert.equal(this.tables.set.isFrozen, false)
    this.#stored = this.#frozen ?? this.#stored
    this.#frozen = undefined
  }

  /** The process dies: what was not written is gone, and all that was is there. */
  #reopen(): void {
    this.tables = tablesOver(this.store)
    this.model = new Map(this.#stored)
    this.#frozen = undefined
  }
}

t.test('a row that was looked for in vain is found once it was written', async t => {
  const { set, plain } = tablesOver(new MemoryKeyValueStore())
  for (let group = 1; group <= 4; group++) plain.put(group, '', group)
  t.equal(plain.get(9), undefined)
  plain.put(9, '', 5)
  set.freeze()
  await set.write()
  for (let group = 1; group <= 4; group++) t.equal(plain.get(group), group, 'drives it out')
  t.equal(plain.get(9), 5)
})

t.test('a table over a store is a map', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = new TablesRun(seed)
    for (let step = 0; step < STEPS; step++) {
      try {
        await run.step()
        if (step % 4 === 3) checkAll(run.tables, run.model, run.random)
      } catch (cause) {
        throw new Error(`seed ${seed}, step ${step}`, { cause })
      }
    }
  }
})

t.test('changeCount counts rows that differ since the last freeze', async t => {
  const { set, plain } = tablesOver(new MemoryKeyValueStore())
  plain.put(1, 'a', 1)
  plain.put(1, 'a', 2)
  plain.delete(1, 'a')
  plain.delete(2, 'none')
  t.equal(set.changeCount, 2)
  set.freeze()
  t.equal(set.changeCount, 0)
  t.throws(() => set.freeze(), /not been written/, 'one layer is written at a time')
  plain.put(1, 'a', 3)
  t.equal(set.changeCount, 1)
})

t.test('putFrozen() is written with the batch and lies below later changes', async t => {
  const store = new MemoryKeyValueStore()
  const { set, plain } = tablesOver(store)
  plain.put(1, 'a', 1)
  set.freeze()
  plain.put(1, 'b', 20)
  plain.putFrozen(1, 'a', 2)
  plain.putFrozen(1, 'b', 10)
  t.equal(plain.get(1, 'a'), 2)
  t.equal(plain.get(1, 'b'), 20)
  store.failure = new SyncError('IO', 'by the test')
  await t.rejects(set.write(), { code: 'IO' })
  store.failure = undefined
  await set.write()
  t.equal(plain.get(1, 'b'), 20, 'the newer change stays')
  const again = tablesOver(store).plain
  t.strictSame(sorted(again.entries(1)), [
    ['a', 2],
    ['b', 10]
  ])
})

t.test('between() with a limit looks past rows that were removed and not written', async t => {
  const store = new MemoryKeyValueStore()
  const { set, plain } = tablesOver(store)
  for (let group = 0; group < 20; group++) plain.put(group, '', group)
  set.freeze()
  await set.write()
  const seen: number[] = []
  for (;;) {
    const groups = [...plain.between(0, 100, 6).keys()]
    if (groups.length === 0) break
    t.ok(groups.length <= 6)
    seen.push(...groups)
    for (const group of groups) plain.delete(group)
  }
  t.strictSame(seen, [...Array(20).keys()], 'each of them once, none left behind')
})

t.test('a group whose rows were all removed is not among the groups', async t => {
  const { set, plain } = tablesOver(new MemoryKeyValueStore())
  plain.put(1, '', 1)
  plain.put(2, '', 2)
  set.freeze()
  await set.write()
  plain.delete(1)
  plain.delete(3)
  t.strictSame([...plain.between(0, 10).keys()], [2], 'neither stored ones nor those never there')
  set.freeze()
  plain.put(1, '', 5)
  t.strictSame(new Set(plain.between(0, 10).keys()), new Set([1, 2]))
  t.strictSame([...plain.entries(3)], [])
})

for (const halves of [1, 2])
  t.test(`rows pushed out of ${halves} halves of the cache are as they are stored`, async t => {
    await checkCache(t, halves * ROWS_CACHED_MAX + 10)
  })

async function checkCache(t: Test, count: number): Promise<void> {
  const { set, plain } = tablesOver(new MemoryKeyValueStore())
  for (let group = 0; group < count; group++) plain.put(group, '', group)
  set.freeze()
  await set.write()
  plain.put(0, '', 77)
  plain.delete(1)
  set.freeze()
  await set.write()
  t.equal(plain.get(0), 77, 'the cache has no older value')
  t.equal(plain.get(1), undefined)
  let wrong = 0
  for (let group = 2; group < count; group++) if (plain.get(group) !== group) wrong++
  t.equal(wrong, 0)
}

t.test('a row that was only peeked at is read again', async t => {
  const store = new MemoryKeyValueStore()
  const { set, plain } = tablesOver(store)
  plain.put(1, 'a', 1)
  set.freeze()
  await set.write()
  const again = tablesOver(store).plain
  const [row] = store.range({ from: Uint8Array.of(0), to: Uint8Array.of(255) })
  if (!row) throw new Error('a row was written')
  t.equal(again.peek(1, 'a'), 1)
  await store.commit([[row[0], undefined]])
  t.equal(again.peek(1, 'a'), undefined, 'the cache has not kept it')
  t.equal(again.peek(2, 'a'), undefined)
})

t.test('a row that was damaged or moved does not open', async t => {
  const store = new MemoryKeyValueStore()
  const { set, plain } = tablesOver(store)
  plain.put(1, 'a', 1)
  plain.put(1, 'b', 2)
  set.freeze()
  await set.write()
  const [first, second] = [
    ...store.range({ from: Uint8Array.of(0), to: Uint8Array.of(255) })
  ] as const
  if (!first || !second) throw new Error('two rows were written')
  await store.commit([[first[0], second[1]]])
  const again = tablesOver(store).plain
  t.throws(() => again.get(1, 'a'), CryptoError)
  t.throws(() => again.entries(1), CryptoError)
  t.equal(again.get(1, 'b'), 2, 'the others open')
})
