/**
 * Entries as bytes: golden vectors fix the format, properties say that everything comes back,
 * and whatever else arrives is refused with an error of ours.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import type { Entry } from '../../src/sync/entry.ts'
import {
  decodeEntry,
  encodeEntry,
  EntryBuilder,
  ENTRY_VERSION,
  type EntryPlace
} from '../../src/sync/entry-codec.ts'
import { ENTRY_BYTES_MAX } from '../../src/sync/log.ts'
import { ENTRY_OPERATIONS_MAX, RESERVED_TYPE_NUMBERS } from '../../src/sync/operation-codec.ts'
import { ROOT_ID, ROOT_LOG, type Name, type Operation } from '../../src/sync/operation.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { arbitraryEntry, LOGS, PLACE } from '../support/arbitrary-operation.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_RUNS = Number(process.env['GROVE_FUZZ'] ?? 100_000)

interface Golden {
  readonly accepted: readonly {
    readonly name: string
    readonly place: EntryPlace
    readonly entry: unknown
    readonly bytes: string
  }[]
  readonly refused: readonly {
    readonly name: string
    readonly place: EntryPlace
    readonly bytes: string
    readonly code: string
  }[]
}

const golden = JSON.parse(
  readFileSync(new URL('../golden/entry-version-1.json', import.meta.url), 'utf8'),
  (_, value: unknown) => bytesOf(value) ?? value
) as Golden

for (const { name, place, entry, bytes } of golden.accepted) {
  t.test(`golden: ${name}`, async t => {
    const written = Buffer.from(bytes.replaceAll(' ', ''), 'hex')
    t.equal(
      Buffer.from(encodeEntry(entry as Entry, place)).toString('hex'),
      written.toString('hex')
    )
    assert.deepEqual(plain(decodeEntry(written, place)), plain(entry))
  })
}

for (const { name, place, bytes, code } of golden.refused) {
  t.test(`golden: ${name} is ${code}`, async t => {
    const written = Buffer.from(bytes.replaceAll(' ', ''), 'hex')
    t.throws(() => decodeEntry(written, place), { name: 'SyncError', code })
  })
}

t.test('every entry comes back as it was', async () => {
  fc.assert(
    fc.property(arbitraryEntry, entry => {
      assert.deepEqual(plain(decodeEntry(encodeEntry(entry, PLACE), PLACE)), plain(entry))
    }),
    { numRuns: 1000 }
  )
})

t.test('EntryBuilder numbers the operations and knows their bytes while they grow', async t => {
  const builder = new EntryBuilder(PLACE)
  let before = builder.byteLength
  for (let i = 0; i < 100; i++) {
    t.equal(builder.add(createOf(`file ${i}`)), i)
    if (builder.byteLength <= before) t.fail(`operation ${i} added nothing`)
    before = builder.byteLength
  }
  t.equal(builder.operationCount, 100)
  const bytes = builder.finish(headerOf())
  t.ok(bytes.length - builder.byteLength < 64, `${bytes.length} bytes, ${before} known before`)
  t.equal(decodeEntry(bytes, PLACE).operations.length, 100)
  t.throws(() => builder.add(createOf('late')), RangeError)
  t.throws(() => builder.finish(headerOf()), RangeError)
})

t.test('operations on what the same entry made are small', async t => {
  const inode = { ...PLACE, number: 0 }
  const alone = encodeEntry({ ...headerOf(), operations: [createOf('a')] }, PLACE)
  const write: Operation = {
    type: 'write',
    inode,
    through: inode,
    base: inode,
    pieces: [{ kind: 'inline', offset: 0, bytes: new Uint8Array(100) }],
    size: 100,
    time: { sec: 0, nsec: 0 }
  }
  const both = encodeEntry({ ...headerOf(), operations: [createOf('a'), write] }, PLACE)
  t.ok(both.length - alone.length <= 100 + 40, `${both.length - alone.length} bytes`)
})

t.test('a newer version, flag, key or operation is NEWER_FORMAT, wherever it stands', async t => {
  const bytes = encodeEntry({ ...headerOf(), operations: [createOf('a')] }, PLACE)
  const flags = [1, 2]
  const keyId = bytes.length - sectionBytesOf(createOf('a'))
  const type = keyId + 5
  for (const [name, change] of Object.entries({
    version: { 0: ENTRY_VERSION + 1 },
    'version 255': { 0: 255 },
    ...Object.fromEntries(
      Array.from({ length: 16 }, (_, bit) => [
        `flag ${bit}`,
        { [flags[bit >> 3] ?? 0]: 1 << (bit & 7) }
      ])
    ),
    'key id': { [keyId]: 1 },
    'type 15': { [type]: 15 },
    'type 65,535': { [type]: 255, [type + 1]: 255 },
    ...Object.fromEntries(
      Object.entries(RESERVED_TYPE_NUMBERS).map(([name, number]) => [name, { [type]: number }])
    )
  }))
    t.throws(() => decodeEntry(patched(bytes, change), PLACE), { code: 'NEWER_FORMAT' }, name)
})

t.test('encodeEntry() refuses with a RangeError what could not be read again', async t => {
  const of = (operation: Operation): Entry => ({ ...headerOf(), operations: [operation] })
  const create = createOf('a')
  const inode = ROOT_ID
  const time = { sec: 0, nsec: 0 }
  const piece = (offset: number, length: number) => ({ kind: 'hole' as const, offset, length })
  const write = (size: number, ...pieces: ReturnType<typeof piece>[]): Operation => {
    return { type: 'write', inode, through: inode, base: inode, pieces, size, time }
  }
  const head = { log: LOGS[1] ?? LOGS[0], length: 1, treeHash: new Uint8Array(32) }
  const place = { parent: inode, name: 'a' as Name }
  const exchange: Operation & { type: 'exchange' } = {
    ...{ type: 'exchange', links: [inode], first: place },
    ...{ others: [inode], second: place, time }
  }
  const setxattr = { type: 'setxattr' as const, inode, base: inode, time, value: new Uint8Array() }
  for (const [name, entry] of Object.entries<Entry>({
    'an empty name': of(createOf('')),
    'a name of 256 bytes': of(createOf('a'.repeat(256))),
    'a name with /': of(createOf('a/b')),
    'a name with NUL': of(createOf('a\0')),
    'a name that is no bytes': of(createOf('\u0100')),
    '.': of(createOf('.')),
    '..': of(createOf('..')),
    'a mode with type bits': of({ ...create, mode: 0o100644 }),
    'a uid over 32 bits': of({ ...create, uid: 2 ** 32 }),
    'a device number of a file': of({ ...create, rdev: 1 }),
    'a target of a file': of({ ...create, target: Uint8Array.of(1) }),
    'a symlink without target': of({ ...create, kind: 'symlink' }),
    'a target with NUL': of({ ...create, kind: 'symlink', target: Uint8Array.of(0) }),
    'a target of 4,096 bytes': of({
      ...create,
      kind: 'symlink',
      target: new Uint8Array(4096).fill(1)
    }),
    'a parent in this very operation': of({ ...create, parent: { ...PLACE, number: 0 } }),
    'a parent in a later entry': of({
      ...create,
      parent: { ...PLACE, index: PLACE.index + 1, number: 0 }
    }),
    'a parent that can never be': of({
      ...create,
      parent: { log: LOGS[1] ?? LOGS[0], index: 2 ** 48, number: 0 }
    }),
    'a second root': of({ ...create, parent: { ...ROOT_ID, number: 1 } }),
    '10^9 nanoseconds': of({ ...create, time: { sec: 0, nsec: 1e9 } }),
    'half a second': of({ ...create, time: { sec: 0.5, nsec: 0 } }),
    'unlink of nothing': of({ type: 'unlink', parent: inode, links: [], time }),
    'exchange of nothing': of({ ...exchange, links: [] }),
    'exchange with nothing': of({ ...exchange, others: [] }),
    'exchange of an empty name': of({ ...exchange, first: { ...place, name: '' as Name } }),
    'exchange with ..': of({ ...exchange, second: { ...place, name: '..' as Name } }),
    'pieces that overlap': of(write(100, piece(0, 10), piece(9, 10))),
    'pieces that descend': of(write(100, piece(10, 10), piece(0, 10))),
    'an empty piece': of(write(100, piece(0, 0))),
    'a piece beyond the size': of(write(9, piece(0, 10))),
    'a size of 2^53': of(write(2 ** 53)),
    'a value of 65,537 bytes': of({
      ...setxattr,
      name: 'user.a' as Name,
      value: new Uint8Array(65_537)
    }),
    'an empty statement': of({ type: 'statement', bytes: new Uint8Array() }),
    'lamport 0': { ...headerOf(), lamport: 0, operations: [] },
    'lamport 2^53': { ...headerOf(), lamport: 2 ** 53, operations: [] },
    'heads of one log twice': { ...headerOf(), heads: [head, head], operations: [] },
    'a head of the own log': {
      ...headerOf(),
      heads: [{ ...head, log: PLACE.log }],
      operations: []
    },
    'a head of no log': { ...headerOf(), heads: [{ ...head, log: ROOT_LOG }], operations: [] },
    'a head of length 0': { ...headerOf(), heads: [{ ...head, length: 0 }], operations: [] },
    'a short hash': {
      ...headerOf(),
      heads: [{ ...head, treeHash: new Uint8Array(31) }],
      operations: []
    },
    'an entry over 8 MiB': of({ type: 'statement', bytes: new Uint8Array(ENTRY_BYTES_MAX) })
  }))
    t.throws(() => encodeEntry(entry, PLACE), RangeError, name)
})

t.test(`an entry has ${ENTRY_OPERATIONS_MAX} operations at most`, async t => {
  const operation: Operation = { type: 'statement', bytes: Uint8Array.of(1) }
  const builder = new EntryBuilder(PLACE)
  for (let number = 0; number < ENTRY_OPERATIONS_MAX; number++) builder.add(operation)
  t.throws(() => builder.add(operation), RangeError)
  const bytes = builder.finish(headerOf())
  t.equal(decodeEntry(bytes, PLACE).operations.length, ENTRY_OPERATIONS_MAX)
  // The count takes three bytes; before the operations, each of 7 bytes, there is nothing else.
  const at = bytes.length - 7 * ENTRY_OPERATIONS_MAX - 3
  const one = bytes.subarray(bytes.length - 7)
  const more = Uint8Array.from([...bytes, ...one])
  t.same([...more.subarray(at, at + 3)], [0x80, 0x80, 0x01])
  more[at] = 0x81
  t.throws(() => decodeEntry(more, PLACE), { code: 'MALFORMED', message: /too many/ })
})

t.test('decodeEntry() refuses an entry over ENTRY_BYTES_MAX', async t => {
  t.throws(() => decodeEntry(new Uint8Array(ENTRY_BYTES_MAX + 1), PLACE), { code: 'MALFORMED' })
})

t.test('bytes cut short or with more behind are MALFORMED', async () => {
  fc.assert(
    fc.property(arbitraryEntry, fc.nat(), (entry, cut) => {
      const bytes = encodeEntry(entry, PLACE)
      refuses(bytes.subarray(0, cut % bytes.length))
      refuses(Buffer.concat([bytes, Buffer.from([cut])]))
    }),
    { numRuns: 500 }
  )
})

t.test(`${FUZZ_RUNS} mutated entries: read, or refused with a SyncError`, async t => {
  const entries = fc.sample(arbitraryEntry, { numRuns: 200, seed: 1 })
  const sources = entries.map(entry => encodeEntry(entry, PLACE))
  const random = new SeededRandom(1)
  let read = 0
  const heapBefore = process.memoryUsage().arrayBuffers
  for (let i = 0; i < FUZZ_RUNS; i++) {
    const source = sources[i % sources.length] ?? new Uint8Array()
    const bytes = mutated(source, random)
    try {
      const entry = decodeEntry(bytes, PLACE)
      read += 1
      assert.deepEqual(plain(decodeEntry(encodeEntry(entry, PLACE), PLACE)), plain(entry))
    } catch (error) {
      if (error instanceof SyncError && ['MALFORMED', 'NEWER_FORMAT'].includes(error.code)) continue
      t.fail(`${String(error)} for ${Buffer.from(bytes).toString('hex')}`)
      return
    }
  }
  t.ok(read > FUZZ_RUNS / 20, `${read} were read`)
  t.ok(read < FUZZ_RUNS / 2, `${FUZZ_RUNS - read} were refused`)
  const grown = process.memoryUsage().arrayBuffers - heapBefore
  t.ok(grown < 64 * 1024 * 1024, `${grown} bytes of buffers more`)
})

/** Asserts MALFORMED. */
function refuses(bytes: Uint8Array): void {
  assert.throws(() => decodeEntry(bytes, PLACE), { code: 'MALFORMED' })
}

function mutated(source: Uint8Array, random: SeededRandom): Uint8Array {
  const bytes = Buffer.from(source)
  const count = 1 + random.integer(3)
  for (let i = 0; i < count; i++) {
    const at = random.integer(bytes.length)
    const choice = random.integer(4)
    if (choice === 0) bytes[at] = random.integer(256)
    else if (choice === 1) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(8))
    else if (choice === 2) bytes.subarray(at, at + random.integer(9)).fill(0xff)
    else bytes.copyWithin(at, random.integer(bytes.length))
  }
  return random.integer(8) === 0 ? bytes.subarray(0, random.integer(bytes.length)) : bytes
}

function headerOf(): Omit<Entry, 'operations'> {
  return {
    lamport: 1,
    time: { sec: 0, nsec: 0 },
    listVersion: 0,
    heads: [],
    contentHead: undefined
  }
}

function createOf(name: string): Operation & { type: 'create' } {
  return {
    type: 'create',
    parent: ROOT_ID,
    name: name as Name,
    kind: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    rdev: 0,
    target: new Uint8Array(),
    time: { sec: 0, nsec: 0 }
  }
}

/** How many bytes the only section of an entry with one operation takes, without its count. */
function sectionBytesOf(operation: Operation): number {
  const builder = new EntryBuilder(PLACE)
  const before = builder.byteLength
  builder.add(operation)
  return 5 + builder.byteLength - before
}

function patched(bytes: Uint8Array, change: Readonly<Record<number, number>>): Uint8Array {
  const copy = Uint8Array.from(bytes)
  for (const [at, byte] of Object.entries(change)) copy[Number(at)] = byte
  return copy
}

/** Byte arrays of any class become one and absent fields vanish, so that values compare. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString('hex') }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(fields.map(([key, field]) => [key, plain(field)]))
}

/** `{"hex": "00ff"}` in the golden file stands for bytes. */
function bytesOf(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'object' || value === null || !('hex' in value)) return undefined
  return Uint8Array.from(Buffer.from(String(value.hex), 'hex'))
}
