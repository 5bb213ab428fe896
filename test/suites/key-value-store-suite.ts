/**
 * What every {@link KeyValueStore} does: run on the fake and on the real one.
 *
 * @module
 */
import fc from 'fast-check'
import type { Test } from 'tap'
import { KEY_BYTES_MAX, type Change, type KeyValueStore } from '../../src/sync/key-value-store.ts'
import { SyncError } from '../../src/sync/sync-error.ts'

/** How a store under test is made. */
export interface KeyValueStoreSubject {
  /** Opens an empty store. */
  create(): Promise<KeyValueStore>
  /** Opens a closed store again; absent when it forgets. */
  readonly reopen?: (store: KeyValueStore) => Promise<KeyValueStore>
  /** Removes what a store left behind. */
  remove(): Promise<void>
}

const BOUNDS_ALL = { from: new Uint8Array(), to: new Uint8Array(KEY_BYTES_MAX).fill(0xff) }

/** Runs the suite. */
export function keyValueStoreSuite(t: Test, name: string, subject: KeyValueStoreSubject): void {
  const test = (title: string, run: (t: Test, store: KeyValueStore) => Promise<void>): void => {
    void t.test(`${name}: ${title}`, async t => {
      const store = await subject.create()
      try {
        await run(t, store)
      } finally {
        await store.close()
        await subject.remove()
      }
    })
  }

  test('get() answers with the value committed last', async (t, store) => {
    t.equal(store.get(bytes('a')), undefined)
    await store.commit([put('a', '1'), put('b', '2')])
    t.equal(text(store.get(bytes('a'))), '1')
    await store.commit([put('a', '3'), [bytes('b'), undefined], [bytes('none'), undefined]])
    t.equal(text(store.get(bytes('a'))), '3')
    t.equal(store.get(bytes('b')), undefined)
  })

  test('the last change of a key in a batch wins', async (t, store) => {
    await store.commit([put('a', '1'), put('a', '2'), put('b', '1'), [bytes('b'), undefined]])
    t.same(rows(store), ['a=2'])
  })

  test('values of 0 bytes to 1 MiB come back', async (t, store) => {
    for (const size of [0, 1, 63, 64, 2000, 4096, 70_000, 1 << 20]) {
      const value = new Uint8Array(size).map((_, i) => i * 31 + size)
      await store.commit([[bytes('key'), value]])
      t.ok(Buffer.from(value).equals(store.get(bytes('key')) ?? bytes('absent')), `${size} bytes`)
      const [row] = store.range(BOUNDS_ALL)
      t.ok(row && Buffer.from(value).equals(row[1]), `${size} bytes in a range`)
    }
  })

  test('keys of 1 byte to KEY_BYTES_MAX, and no other', async (t, store) => {
    const longest = new Uint8Array(KEY_BYTES_MAX).fill(0xff)
    await store.commit([
      [longest, bytes('long')],
      [Uint8Array.of(0), bytes('zero')],
      [Uint8Array.of(0, 0), bytes('two zeros')]
    ])
    t.equal(text(store.get(longest)), 'long')
    t.equal(text(store.get(Uint8Array.of(0))), 'zero')
    t.equal(text(store.get(Uint8Array.of(0, 0))), 'two zeros')
    for (const key of [new Uint8Array(), new Uint8Array(KEY_BYTES_MAX + 1)]) {
      t.throws(() => store.get(key), RangeError)
      await t.rejects(store.commit([put('half', '1'), [key, bytes('')]]), RangeError)
    }
    t.equal(store.get(bytes('half')), undefined, 'nothing of the refused batch is there')
  })

  test('a value stays as it was while other keys are read', async (t, store) => {
    const keys = Array.from({ length: 100 }, (_, i) => `key ${i}`)
    await store.commit(keys.map((key, i) => put(key, key.repeat(i * i))))
    const values = keys.map(key => store.get(bytes(key)))
    const texts = values.map(value => text(value))
    t.same(
      texts,
      keys.map((key, i) => key.repeat(i * i))
    )
  })

  test('range() has its lower bound and not its upper', async (t, store) => {
    await store.commit(['d', 'a', 'c', 'b', 'ab'].map(key => put(key, key)))
    t.same(rows(store), ['a=a', 'ab=ab', 'b=b', 'c=c', 'd=d'])
    t.same(rows(store, 'ab', 'c'), ['ab=ab', 'b=b'])
    t.same(rows(store, 'aa', 'bb'), ['ab=ab', 'b=b'])
    for (const [from, to] of [
      ['b', 'b'],
      ['c', 'b'],
      ['x', 'z'],
      ['', '']
    ] as const)
      t.same(rows(store, from, to), [], `${from} to ${to}`)
  })

  test('range() keeps its view while batches go on', async (t, store) => {
    await store.commit(Array.from({ length: 300 }, (_, i) => put(`${1000 + i}`, 'old')))
    const seen: string[] = []
    for (const [key, value] of store.range(BOUNDS_ALL)) {
      seen.push(`${text(key)}=${text(value)}`)
      if (seen.length % 100 !== 1) continue
      await store.commit([put('1299', 'new'), put('9', 'new'), [bytes('1150'), undefined]])
      await new Promise(resolve => setImmediate(resolve))
    }
    t.same(
      seen,
      Array.from({ length: 300 }, (_, i) => `${1000 + i}=old`)
    )
    t.equal(rows(store).length, 300, 'one more and one less')
  })

  test('an iteration left half way does no harm', async (t, store) => {
    await store.commit(Array.from({ length: 50 }, (_, i) => put(`${100 + i}`, 'x')))
    for (let round = 0; round < 200; round++) {
      for (const [key] of store.range(BOUNDS_ALL)) if (text(key) === '120') break
    }
    await store.commit([put('z', 'x')])
    t.equal(rows(store).length, 51)
  })

  test('batches apply in the order of the calls', async (t, store) => {
    const order: number[] = []
    const commits = Array.from({ length: 200 }, async (_, i) => {
      await store.commit([put('a', `${i}`), put(`b${i}`, `${i}`), [bytes(`b${i - 1}`), undefined]])
      order.push(i)
      t.ok(Number(text(store.get(bytes('a')))) >= i, 'visible when it resolves')
    })
    await Promise.all(commits)
    t.same(rows(store), ['a=199', 'b199=199'])
    t.same(
      order,
      order.toSorted((a, b) => a - b)
    )
  })

  test('clear() deletes everything, in its turn', async (t, store) => {
    const before = store.commit([put('a', '1')])
    const clear = store.clear()
    const after = store.commit([put('b', '2')])
    await Promise.all([before, clear, after])
    t.same(rows(store), ['b=2'])
    await store.sync()
    await store.clear()
    t.same(rows(store), [])
  })

  test('an empty batch resolves', async (t, store) => {
    await store.commit([])
    t.same(rows(store), [])
  })

  test('every call on a closed store is CLOSED', async (t, store) => {
    await store.commit([put('a', '1'), put('b', '1')])
    const iterator = store.range(BOUNDS_ALL)[Symbol.iterator]()
    iterator.next()
    const underWay = store.commit([put('c', '1')])
    const closing = store.close()
    await t.resolves(underWay, 'a batch under way is waited for')
    await closing
    await store.close()
    throwsClosed(t, () => store.get(bytes('a')))
    throwsClosed(t, () => rows(store))
    throwsClosed(t, () => iterator.next())
    await t.rejects(store.commit([put('a', '1')]), { code: 'CLOSED' })
    await t.rejects(store.clear(), { code: 'CLOSED' })
    await t.rejects(store.sync(), { code: 'CLOSED' })
  })

  void t.test(`${name}: equals a sorted Map under random batches`, async () => {
    const key = fc.uint8Array({ minLength: 1, maxLength: 3, max: 3 })
    const value = fc.option(fc.uint8Array({ maxLength: 20 }), { nil: undefined })
    const batches = fc.array(fc.array(fc.tuple(key, value)), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(batches, key, key, async (batches, from, to) => {
        const store = await subject.create()
        try {
          const model = new Map<string, string>()
          for (const batch of batches) {
            await store.commit(batch)
            for (const [key, value] of batch) {
              if (value) model.set(hex(key), hex(value))
              else model.delete(hex(key))
            }
          }
          const expected = [...model]
            .filter(([key]) => key >= hex(from) && key < hex(to))
            .sort(([a], [b]) => (a < b ? -1 : 1))
          const actual = [...store.range({ from, to })].map(([k, v]) => [hex(k), hex(v)])
          if (JSON.stringify(expected) !== JSON.stringify(actual)) {
            throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`)
          }
        } finally {
          await store.close()
          await subject.remove()
        }
      }),
      { numRuns: 40 }
    )
  })

  if (!subject.reopen) return
  test('a closed store keeps its rows', async (t, store) => {
    await store.commit(Array.from({ length: 500 }, (_, i) => put(`${1000 + i}`, `${i}`)))
    await store.close()
    const again = await subject.reopen?.(store)
    if (!again) throw new Error('it can be reopened')
    try {
      t.equal(rows(again).length, 500)
      await again.commit([put('2', 'more')])
      t.equal(rows(again).length, 501)
    } finally {
      await again.close()
    }
  })
}

function put(key: string, value: string): Change {
  return [bytes(key), bytes(value)]
}

function rows(store: KeyValueStore, from?: string, to?: string): string[] {
  const bounds = from === undefined ? BOUNDS_ALL : { from: bytes(from), to: bytes(to ?? '') }
  return [...store.range(bounds)].map(([key, value]) => `${text(key)}=${text(value)}`)
}

function throwsClosed(t: Test, call: () => unknown): void {
  try {
    call()
    t.fail('the call went through')
  } catch (error) {
    t.ok(error instanceof SyncError && error.code === 'CLOSED', String(error))
  }
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function text(bytes: Uint8Array | undefined): string {
  return bytes ? Buffer.from(bytes).toString() : 'absent'
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
