/** Operations as bytes: every type and every field, one at a time, and hostile bodies. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ByteWriter } from '../../src/sync/byte-writer.ts'
import { LogTable } from '../../src/sync/log-table.ts'
import {
  lengthOf,
  OPERATION_TYPE_NUMBERS,
  readOperation,
  RESERVED_TYPE_NUMBERS,
  writeOperation,
  XATTR_BYTES_MAX
} from '../../src/sync/operation-codec.ts'
import type { Operation } from '../../src/sync/operation.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { arbitraryOperation, PLACE } from '../support/arbitrary-operation.ts'
import { FUZZ_INPUTS, fuzzDecoder } from '../support/fuzz-decoder.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const MALFORMED = { name: 'SyncError', code: 'MALFORMED' }
const TIME = '00'.repeat(12)

const placeOf = (table: LogTable) => ({ table, index: PLACE.index, number: 3 })
const read = (type: number, hex: string): Operation =>
  readOperation(type, Buffer.from(hex, 'hex'), placeOf(new LogTable(PLACE.log)))

t.test('every operation comes back, of every type', async t => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(arbitraryOperation, operation => {
      const table = new LogTable(PLACE.log)
      const writer = new ByteWriter()
      writeOperation(writer, operation, placeOf(table))
      const number = OPERATION_TYPE_NUMBERS[operation.type]
      const again = readOperation(number, writer.view().slice(), placeOf(table))
      assert.deepEqual(again, operation)
      seen.add(operation.type)
    }),
    { numRuns: 1000 }
  )
  t.same([...seen].sort(), Object.keys(OPERATION_TYPE_NUMBERS).sort())
})

t.test(`readOperation() survives ${FUZZ_INPUTS} hostile bodies of every type`, async t => {
  const table = new LogTable(PLACE.log)
  const bodyOf = (operation: Operation): Uint8Array => {
    const writer = new ByteWriter()
    writeOperation(writer, operation, placeOf(table))
    return writer.view().slice()
  }
  // The type goes before the body, so that it is changed as well.
  const genuine = fc.sample(arbitraryOperation, { numRuns: 400, seed: 8 }).map(operation => {
    return Buffer.concat([Uint8Array.of(OPERATION_TYPE_NUMBERS[operation.type]), bodyOf(operation)])
  })
  const { taken, failures } = await fuzzDecoder({
    random: new SeededRandom(8),
    genuine,
    reencoded: bytes => {
      const [type = 0] = bytes
      const body = bodyOf(readOperation(type, bytes.slice(1), placeOf(table)))
      return Buffer.concat([Uint8Array.of(type), body])
    },
    isRefusal: error =>
      error instanceof SyncError && (error.code === 'MALFORMED' || error.code === 'NEWER_FORMAT')
  })
  t.same(failures, [])
  t.ok(taken > FUZZ_INPUTS / 100, `${taken} were read`)
})

t.test('type numbers are distinct, and the reserved ones are free', async t => {
  const numbers = [
    ...Object.values(OPERATION_TYPE_NUMBERS),
    ...Object.values(RESERVED_TYPE_NUMBERS)
  ]
  t.equal(new Set(numbers).size, numbers.length)
  const NEWER = { name: 'SyncError', code: 'NEWER_FORMAT' }
  for (const number of Object.values(RESERVED_TYPE_NUMBERS)) t.throws(() => read(number, ''), NEWER)
  t.throws(() => read(65_535, ''), NEWER)
})

t.test('a body that no version writes is MALFORMED', async t => {
  const mkdir = (name: string, mode = 'ed01') => `01${name}${mode}0000000000000000${TIME}`
  const write = (pieces: string) => `01010164${pieces}${TIME}`
  t.equal(read(2, mkdir('0161')).type, 'mkdir')
  t.equal(read(8, write('0203000a03000a')).type, 'write')
  const exchange = (first: string, second: string) => `0101${first}0101${second}${TIME}`
  t.equal(read(7, exchange('010161', '010162')).type, 'exchange')
  t.equal(read(4, `010101${TIME}`).type, 'unlink')
  const block = (index: string, end: string) => write(`0101000a00${index}${'ab'.repeat(32)}${end}`)
  t.equal(read(8, block('ffffffffffff3f', 'f6ffff03')).type, 'write', 'the last bytes of a block')
  t.equal(read(2, mkdir('0161').replace(/^01/, '0001ff7f')).type, 'mkdir')
  for (const [name, type, body] of [
    ['an empty name', 2, mkdir('00')],
    ['.', 2, mkdir('012e')],
    ['..', 2, mkdir('022e2e')],
    ['a name with /', 2, mkdir('03612f61')],
    ['a name with NUL', 2, mkdir('0100')],
    ['a mode with type bits', 2, mkdir('0161', 'ed81')],
    ['something behind', 2, mkdir('0161') + '00'],
    ['a node of kind 6', 1, `01016106a40100000000000000000000000000${TIME}`],
    ['a log that is not in the table', 2, mkdir('0161').replace(/^01/, '020000')],
    ['an operation of a later entry', 2, mkdir('0161').replace(/^01/, '00e90700')],
    ['a reference to itself', 2, mkdir('0161').replace(/^01/, '000003')],
    ['unlink of nothing', 4, `0001${TIME}`],
    ['exchange of an empty name', 7, exchange('0100', '010162')],
    ['exchange with a name with /', 7, exchange('010161', '01012f')],
    ['more links than bytes', 4, `ffffffffffffff0f${TIME}`],
    ['an empty piece', 8, write('01030000')],
    ['a piece of kind 4', 8, write('0104000a')],
    ['a piece beyond the size', 8, write('01030065')],
    ['a piece beyond 2^53', 8, write('0103ffffffffffffff0fffffffffffffff0f')],
    ['a piece beyond any block', 8, block('05', 'f7ffff03')],
    ['a block of index 2^48', 8, block('80808080808040', '00')],
    ['an operation of number 16,384', 2, mkdir('0161').replace(/^01/, '0001808001')],
    ['an attribute that is unknown', 10, `010120${TIME}`],
    ['a value over the limit', 11, `01010161818004${'00'.repeat(XATTR_BYTES_MAX + 1)}${TIME}`],
    ['an empty statement', 13, ''],
    ['10^9 nanoseconds', 4, '010101000000000000000000ca9a3b']
  ] as const)
    t.throws(() => read(type, body), MALFORMED, name)
})

t.test('lengthOf() is the bytes of the file that a piece covers', async t => {
  t.equal(lengthOf({ kind: 'hole', offset: 5, length: 7 }), 7)
  t.equal(lengthOf({ kind: 'inline', offset: 5, bytes: new Uint8Array(3) }), 3)
})
