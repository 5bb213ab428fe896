/** Rows of inodes come back from their bytes, and bytes that are no row are refused. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  decodeInode,
  encodeInode,
  type InodeKind,
  type InodeRecord
} from '../../src/sync/inode-record.ts'
import { LogNumbers } from '../../src/sync/log-numbers.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { FUZZ_INPUTS, fuzzDecoder } from '../support/fuzz-decoder.ts'
import { arbitraryId, arbitraryName, arbitraryTime, LOGS } from '../support/arbitrary-operation.ts'
import { rowBytes } from '../support/row-bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const logs = new LogNumbers()
for (const log of LOGS) logs.add(log)

const KINDS: InodeKind[] = [
  ...(['file', 'directory', 'symlink', 'fifo', 'socket', 'character', 'block'] as const)
]

const number = fc.oneof(fc.nat({ max: 300 }), fc.maxSafeNat())
const link = fc.record(
  {
    ...{ id: arbitraryId, parent: number, name: arbitraryName },
    isRevived: fc.constant<true>(true)
  },
  { requiredKeys: ['id', 'parent', 'name'] }
)
const family = fc.oneof(
  fc.record({ number, last: arbitraryId, frontier: fc.constant([]) }),
  fc.record({
    ...{ number, last: fc.constant(undefined) },
    frontier: fc.array(arbitraryId, { maxLength: 3 })
  })
)
const place = fc.record({ parent: number, name: arbitraryName, by: arbitraryId })
const directory = fc.record({
  setBy: fc.record({
    ...{ mode: arbitraryId, uid: arbitraryId, gid: arbitraryId },
    ...{ atime: arbitraryId, mtime: arbitraryId, ctime: arbitraryId }
  }),
  namings: fc.array(arbitraryId, { maxLength: 3 }),
  removal: fc.option(arbitraryId, { nil: undefined }),
  place: fc.option(place, { nil: undefined })
})

const arbitraryRecord: fc.Arbitrary<InodeRecord> = fc
  .record(
    {
      ...{ ino: number, id: arbitraryId, kind: fc.constantFrom(...KINDS) },
      ...{ mode: fc.nat({ max: 0o7777 }), uid: number, gid: number, rdev: number },
      ...{ size: number, allocated: number, version: arbitraryId },
      ...{ atime: arbitraryTime, mtime: arbitraryTime, ctime: arbitraryTime },
      ...{ links: fc.array(link, { maxLength: 4 }), children: number, subdirectories: number },
      ...{ xattrs: number, target: fc.uint8Array({ maxLength: 300 }), family, directory }
    },
    {
      requiredKeys: [
        ...(['ino', 'id', 'kind', 'mode', 'uid', 'gid', 'rdev', 'size', 'allocated'] as const),
        ...(['version', 'atime', 'mtime', 'ctime', 'links', 'children'] as const),
        ...(['subdirectories', 'xattrs', 'target'] as const)
      ]
    }
  )
  .map(record => structuredClone(record))

function bytesOf(record: InodeRecord, numbers = logs): Uint8Array {
  return rowBytes(out => encodeInode(out, record, numbers))
}

t.test('an inode comes back from its bytes', async () => {
  fc.assert(
    fc.property(arbitraryRecord, record => {
      assert.deepEqual(decodeInode(bytesOf(record), logs), record)
    })
  )
})

t.test('a decoded inode does not keep the bytes it was read from', async t => {
  const [record] = fc.sample(arbitraryRecord, { numRuns: 1, seed: 4 })
  if (!record) throw new Error('no sample')
  const bytes = bytesOf({ ...record, target: Uint8Array.of(1, 2, 3) })
  const decoded = decodeInode(bytes, logs)
  bytes.fill(0)
  t.strictSame(decoded.target, Uint8Array.of(1, 2, 3))
})

function isRefusal(error: unknown): boolean {
  return error instanceof SyncError && (error.code === 'DAMAGED' || error.code === 'MALFORMED')
}

t.test(`decodeInode() survives ${FUZZ_INPUTS} hostile rows`, async t => {
  const records = fc.sample(arbitraryRecord, { numRuns: 200, seed: 7 })
  const { taken, failures } = await fuzzDecoder({
    random: new SeededRandom(7),
    genuine: records.map(record => bytesOf(record)),
    reencoded: bytes => {
      const record = decodeInode(new Uint8Array(bytes), logs)
      assert.deepEqual(decodeInode(bytesOf(record), logs), record)
      return undefined
    },
    isRefusal
  })
  t.same(failures, [])
  t.ok(taken > FUZZ_INPUTS / 100, `${taken} were read`)
})

t.test('bytes that are no inode are refused as damage', async () => {
  for (const record of fc.sample(arbitraryRecord, { numRuns: 10, seed: 5 })) {
    const row = bytesOf(record)
    for (let end = 0; end < row.length; end++) {
      assert.throws(() => decodeInode(row.subarray(0, end), logs), isRefusal)
    }
    assert.throws(() => decodeInode(Uint8Array.from([...row, 0]), logs), isRefusal)
    assert.throws(() => decodeInode(Uint8Array.of(99, ...row.subarray(1)), logs), isRefusal)
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      try {
        decodeInode(bytes, logs)
      } catch (error) {
        assert.ok(isRefusal(error))
      }
    })
  )
})

t.test('an inode of a log without a number cannot be written or read', async t => {
  const [record] = fc.sample(arbitraryRecord, { numRuns: 1, seed: 6 })
  if (!record) throw new Error('no sample')
  const [log] = LOGS
  const made = { ...record, id: { log, index: 1, number: 0 } }
  t.throws(() => bytesOf(made, new LogNumbers()), { code: 'MALFORMED' })
  t.throws(() => decodeInode(bytesOf(made), new LogNumbers()), { code: 'DAMAGED' })
})
