/**
 * Operations and entries of every kind, at random, for property tests of what reads them. They
 * are what a device may write, but need not make sense together: identities point nowhere.
 *
 * @module
 */
import fc, { type Arbitrary } from 'fast-check'
import type { Timestamp } from '../../src/sync/clock.ts'
import type { Entry, Head, Origin } from '../../src/sync/entry.ts'
import type { EntryPlace } from '../../src/sync/entry-codec.ts'
import { ENTRY_BYTES_MAX, logKey, type LogKey } from '../../src/sync/log.ts'
import { ENTRY_OPERATIONS_MAX, INDEX_MAX } from '../../src/sync/operation-codec.ts'
import {
  ROOT_ID,
  type Name,
  type Operation,
  type OperationId,
  type Piece
} from '../../src/sync/operation.ts'

/** Logs that identities are drawn from; the first is the entry's own. */
export const LOGS = ['a', 'b', 'c', 'd', 'e'].map(digit => logKey(digit.repeat(64))) as [
  LogKey,
  ...LogKey[]
]

/** The place of every arbitrary entry. */
export const PLACE: EntryPlace = { log: LOGS[0], index: 1000 }

const U32_MAX = 2 ** 32 - 1
const BLOCK_LENGTH_MAX = ENTRY_BYTES_MAX - 131_072

const integer = fc.oneof(
  fc.nat({ max: 300 }),
  fc.constantFrom(127, 128, 16_383, 16_384, U32_MAX, U32_MAX + 1, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat()
)
const index = fc.oneof(
  fc.nat({ max: 300 }),
  fc.constantFrom(127, 128, 16_383, 16_384, U32_MAX, U32_MAX + 1, INDEX_MAX),
  fc.nat({ max: INDEX_MAX })
)
const number = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: ENTRY_OPERATIONS_MAX - 1 }))
const u32 = fc.oneof(fc.nat({ max: 1000 }), fc.integer({ min: 0, max: U32_MAX }))
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })
const log = fc.constantFrom(...LOGS)
const mode = fc.nat({ max: 0o7777 })

/** Times from long before 1970 to long after. */
export const arbitraryTime: Arbitrary<Timestamp> = fc.record({
  sec: fc.oneof(
    fc.integer({ min: 1_600_000_000, max: 1_900_000_000 }),
    fc.constantFrom(0, -1, -(2 ** 32), 2 ** 32, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    fc.maxSafeInteger()
  ),
  nsec: fc.integer({ min: 0, max: 999_999_999 })
})

/** Identities that an operation of the entry at {@link PLACE} may name. */
export const arbitraryId: Arbitrary<OperationId> = fc.oneof(
  fc.constant(ROOT_ID),
  fc.record({ log, index: fc.nat({ max: PLACE.index - 1 }), number }),
  fc.record({ log: fc.constantFrom(...LOGS.slice(1)), index, number })
)

const byte = fc.integer({ min: 1, max: 255 }).map(code => String.fromCharCode(code))
const nameOf = (length: fc.StringConstraints): Arbitrary<Name> =>
  fc.string({ ...length, unit: byte }).map(text => text as Name)

/** File names: any bytes but `/` and NUL, 1 to 255 of them. */
export const arbitraryName: Arbitrary<Name> = fc
  .oneof(
    nameOf({ minLength: 1, maxLength: 20 }),
    nameOf({ minLength: 250, maxLength: 255 }),
    fc.constantFrom('...', '.a', ' ').map(text => text as Name)
  )
  .filter(name => !name.includes('/') && name !== '.' && name !== '..')

const target = fc
  .uint8Array({ min: 1, minLength: 1, maxLength: 100 })
  .chain(bytes => fc.constantFrom(bytes, new Uint8Array(4095).fill(bytes[0] ?? 1)))

const arbitraryPieces: Arbitrary<{ readonly pieces: readonly Piece[]; readonly size: number }> = fc
  .tuple(
    fc.array(
      fc.record({
        kind: fc.constantFrom('block' as const, 'inline' as const, 'hole' as const),
        gap: fc.oneof(fc.constant(0), fc.nat({ max: 2 ** 40 })),
        length: fc.integer({ min: 1, max: 2 ** 40 }),
        bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
        log,
        index,
        hash,
        blockOffset: fc.nat({ max: 131_072 })
      }),
      { maxLength: 5 }
    ),
    fc.nat({ max: 2 ** 40 })
  )
  .map(([parts, rest]) => {
    let end = 0
    const pieces: Piece[] = []
    for (const { kind, gap, bytes, log, index, hash, blockOffset, ...part } of parts) {
      const offset = end + gap
      const length = kind === 'block' ? 1 + (part.length % BLOCK_LENGTH_MAX) : part.length
      end = offset + (kind === 'inline' ? bytes.length : length)
      if (kind === 'inline') pieces.push({ kind, offset, bytes })
      else if (kind === 'hole') pieces.push({ kind, offset, length })
      else pieces.push({ kind, offset, length, log, index, hash, blockOffset })
    }
    return { pieces, size: end + rest }
  })

const id = arbitraryId
const ids = fc.array(id, { minLength: 1, maxLength: 3 })
const name = arbitraryName
const time = arbitraryTime
const place = fc.record({ parent: id, name })
const made = { parent: id, name, mode, uid: u32, gid: u32, time }
const seen = { inode: id, base: id, time }

const arbitraryCreate: Arbitrary<Operation> = fc
  .record({
    ...made,
    kind: fc.constantFrom('file', 'symlink', 'fifo', 'socket', 'character', 'block'),
    rdev: u32,
    target
  })
  .map(create => ({
    type: 'create',
    ...create,
    rdev: create.kind === 'character' || create.kind === 'block' ? create.rdev : 0,
    target: create.kind === 'symlink' ? create.target : new Uint8Array()
  }))

const anyOperation: Arbitrary<Operation> = fc.oneof(
  arbitraryCreate,
  fc.record({ type: fc.constant('mkdir' as const), ...made }),
  fc.record({ type: fc.constant('link' as const), inode: id, through: id, parent: id, name, time }),
  fc.record({
    type: fc.constantFrom('unlink' as const, 'rmdir' as const),
    parent: id,
    links: ids,
    time
  }),
  fc.record({
    type: fc.constant('rename' as const),
    links: ids,
    from: id,
    parent: id,
    name,
    replaced: fc.array(id, { maxLength: 3 }),
    time
  }),
  fc.record({
    type: fc.constant('exchange' as const),
    links: ids,
    first: place,
    others: ids,
    second: place,
    time
  }),
  fc
    .tuple(fc.record({ ...seen, through: id }), arbitraryPieces)
    .map(([write, content]) => ({ type: 'write' as const, ...write, ...content })),
  fc.record({ type: fc.constant('truncate' as const), ...seen, through: id, size: integer }),
  fc.record(
    {
      type: fc.constant('setattr' as const),
      ...seen,
      mode,
      uid: u32,
      gid: u32,
      atime: time,
      mtime: time
    },
    { requiredKeys: ['type', 'inode', 'base', 'time'] }
  ),
  fc.record({
    type: fc.constant('setxattr' as const),
    ...seen,
    name: nameOf({ minLength: 1, maxLength: 255 }),
    value: fc.uint8Array({ maxLength: 300 })
  }),
  fc.record({
    type: fc.constant('removexattr' as const),
    ...seen,
    name: nameOf({ minLength: 1, maxLength: 255 })
  }),
  fc.record({
    type: fc.constantFrom('statement' as const, 'envelope' as const),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 300 })
  })
)

/** Operations of every type. The clone gives objects the prototype that fast-check leaves out. */
export const arbitraryOperation: Arbitrary<Operation> = anyOperation.map(operation =>
  structuredClone(operation)
)

const head = (log: Arbitrary<LogKey>, lengthMin: number): Arbitrary<Head> =>
  fc.record({ log, length: integer.filter(length => length >= lengthMin), treeHash: hash })

const origin: Arbitrary<Origin> = fc.record({ log, index: integer, hash })

/** Entries for {@link PLACE}, from heads alone to many operations. */
export const arbitraryEntry: Arbitrary<Entry> = fc
  .record(
    {
      lamport: integer.filter(lamport => lamport >= 1),
      time,
      listVersion: integer,
      heads: fc.uniqueArray(head(fc.constantFrom(...LOGS.slice(1)), 1), {
        selector: head => head.log,
        maxLength: LOGS.length - 1
      }),
      contentHead: fc.option(head(log, 0), { nil: undefined }),
      origin,
      operations: fc.array(arbitraryOperation, { maxLength: 12 })
    },
    { requiredKeys: ['lamport', 'time', 'listVersion', 'heads', 'contentHead', 'operations'] }
  )
  .map(entry => structuredClone(entry))
