/**
 * Runs laid over one another leave each byte where a naive array of bytes has it, rows come back
 * from their bytes, and bytes that are no row are refused.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  decodeRuns,
  encodeRuns,
  REGION_BYTES,
  regionOf,
  regionSub,
  replaceRuns,
  slice,
  type Run
} from '../../src/sync/region.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { filled } from '../support/bytes.ts'
import { FUZZ_INPUTS, fuzzDecoder } from '../support/fuzz-decoder.ts'
import { rowBytes } from '../support/row-bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const BYTES = 120
const SEEDS = 300
const STEPS = 40

/** Where each byte lies; undefined for a hole. */
type Sources = (string | undefined)[]

function sourcesOf(runs: readonly Run[]): Sources {
  const sources: Sources = Array.from({ length: BYTES })
  for (const run of runs) {
    for (let at = 0; at < run.length; at++) {
      assert.equal(sources[run.offset + at], undefined, 'runs do not overlap')
      sources[run.offset + at] = sourceOf(run, at)
    }
  }
  return sources
}

function sourceOf(run: Run, at: number): string {
  if (run.kind === 'inline') return 'inline'
  return `${run.log}:${run.index}+${run.blockOffset + at} ${String(run.hash[0])}`
}

function randomRun(random: SeededRandom, offset: number, length: number): Run {
  if (random.integer(3) === 0) return { kind: 'inline', offset, length }
  const [log, index] = [random.integer(3), random.integer(1000)]
  const blockOffset = random.integer(500)
  return { kind: 'block', offset, length, log, index, hash: filled(32, index), blockOffset }
}

t.test('keys of regions are those of indexes that were written before', async t => {
  const bytesOf = (region: number): string =>
    Buffer.from(regionSub(region), 'latin1').toString('hex')
  t.equal(bytesOf(2 ** 32 + 0x8000_0005), '0180000005')
  t.equal(bytesOf(258), '0000000102')
})

t.test('replaceRuns() leaves each byte where a naive array has it', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new SeededRandom(seed)
    let runs: readonly Run[] = []
    const model: Sources = Array.from({ length: BYTES })
    for (let step = 0; step < STEPS; step++) {
      const from = random.integer(BYTES)
      const to = from + 1 + random.integer(Math.min(30, BYTES - from))
      const run = random.integer(4) === 0 ? undefined : randomRun(random, from, to - from)
      const before = runs
      runs = replaceRuns(before, { from, to }, run)
      for (let at = from; at < to; at++) model[at] = run && sourceOf(run, at - from)
      assert.deepEqual(sourcesOf(runs), model, `seed ${seed}, step ${step}`)
      checkForm(runs)
      for (const old of before) {
        const isBeside = old.offset + old.length < from || old.offset > to
        if (isBeside) assert.ok(runs.includes(old), 'what lies beside is the same object')
      }
    }
  }
})

/** Ascending, none empty, and inline neighbours are one. */
function checkForm(runs: readonly Run[]): void {
  for (const [at, run] of runs.entries()) {
    assert.ok(run.length > 0)
    const last = runs[at - 1]
    if (!last) continue
    const end = last.offset + last.length
    assert.ok(end <= run.offset, 'ascending')
    if (last.kind === 'inline' && run.kind === 'inline') assert.notEqual(end, run.offset)
  }
}

t.test('replaceRuns() never changes the list it was given', async t => {
  const given = Object.freeze([
    Object.freeze<Run>({ kind: 'inline', offset: 0, length: 10 }),
    Object.freeze(randomRun(new SeededRandom(2), 10, 10))
  ])
  const shown = structuredClone(given)
  replaceRuns(given, { from: 5, to: 15 })
  replaceRuns(given, { from: 5, to: 15 }, { kind: 'inline', offset: 5, length: 10 })
  t.strictSame(given, shown)
})

t.test('slice() keeps the bytes and moves the place within the block', async t => {
  const run: Run = {
    ...{ kind: 'block', offset: 100, length: 50, log: 1, index: 2, blockOffset: 7 },
    hash: filled(32, 3)
  }
  t.strictSame(slice(run, 110, 120), { ...run, offset: 110, length: 10, blockOffset: 17 })
  t.strictSame(slice(run, 100, 150), run)
  t.strictSame(slice({ kind: 'inline', offset: 4, length: 6 }, 5, 7), {
    ...{ kind: 'inline', offset: 5, length: 2 }
  })
})

t.test('regionSub() and regionOf() are inverse and sort as the numbers', async () => {
  const number = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 2 ** 33 }), fc.constant(2 ** 33 - 1))
  fc.assert(
    fc.property(number, number, (left, right) => {
      assert.equal(regionOf(regionSub(left)), left)
      assert.equal(regionSub(left) < regionSub(right), left < right)
    })
  )
  const last = Math.floor(Number.MAX_SAFE_INTEGER / REGION_BYTES)
  assert.equal(regionOf(regionSub(last)), last, 'the last region of the largest file')
})

const integer = fc.oneof(fc.nat({ max: 300 }), fc.maxSafeNat())
const place = { offset: integer, length: integer }
const arbitraryRuns: fc.Arbitrary<Run[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('inline' as const), ...place }),
    fc.record({
      kind: fc.constant('block' as const),
      ...place,
      ...{ log: integer, index: integer, blockOffset: integer },
      hash: fc.uint8Array({ minLength: 32, maxLength: 32 })
    })
  ),
  { maxLength: 6 }
)

function bytesOf(runs: readonly Run[]): Uint8Array {
  return rowBytes(out => encodeRuns(out, runs))
}

t.test('a row comes back from its bytes', async () => {
  fc.assert(
    fc.property(arbitraryRuns, runs => {
      const plain = structuredClone(runs)
      assert.deepEqual(decodeRuns(bytesOf(plain)), plain)
    })
  )
})

t.test('a decoded row does not keep the bytes it was read from', async t => {
  const bytes = bytesOf([
    randomRun(new SeededRandom(4), 0, 9),
    randomRun(new SeededRandom(5), 9, 9)
  ])
  const runs = decodeRuns(bytes)
  const shown = structuredClone(runs)
  bytes.fill(0)
  t.strictSame(runs, shown)
})

t.test('bytes that are no row are refused as damage, whatever they are', async () => {
  const refused = (bytes: Uint8Array): void => {
    assert.throws(
      () => decodeRuns(bytes),
      (error: unknown) =>
        error instanceof SyncError && (error.code === 'DAMAGED' || error.code === 'MALFORMED')
    )
  }
  const row = bytesOf([
    { kind: 'inline', offset: 0, length: 5 },
    { kind: 'block', offset: 5, length: 9, log: 1, index: 3, hash: filled(32, 9), blockOffset: 0 }
  ])
  for (let end = 0; end < row.length; end++) refused(row.subarray(0, end))
  refused(Uint8Array.from([...row, 0]))
  refused(Uint8Array.of(1, 2, 0, 1))
  refused(Uint8Array.of(255, 255, 255, 127, 0, 0, 0))
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
      try {
        decodeRuns(bytes)
      } catch (error) {
        assert.ok(error instanceof SyncError)
      }
    })
  )
})

t.test(`decodeRuns() survives ${FUZZ_INPUTS} hostile rows`, async t => {
  const random = new SeededRandom(9)
  const rows = Array.from({ length: 100 }, () =>
    bytesOf(
      Array.from({ length: random.integer(4) }, (_, at) => randomRun(random, 10 * at, 10))
    ).slice()
  )
  const { taken, failures } = await fuzzDecoder({
    ...{ random, genuine: rows },
    reencoded: bytes => bytesOf(decodeRuns(bytes)),
    isRefusal: error =>
      error instanceof SyncError && (error.code === 'DAMAGED' || error.code === 'MALFORMED')
  })
  t.same(failures, [])
  t.ok(taken > FUZZ_INPUTS / 100, `${taken} were read`)
})
