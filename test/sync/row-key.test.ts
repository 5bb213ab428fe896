/** Parts of row keys sort as the numbers that they stand for. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { numberSub, operationSub } from '../../src/sync/row-key.ts'

t.test('keys sort as numbers, and different numbers have different keys', async () => {
  const number = fc.nat({ max: 2 ** 48 - 1 })
  fc.assert(
    fc.property(number, number, (left, right) => {
      assert.equal(numberSub(left) < numberSub(right), left < right)
    })
  )
  const log = fc.nat({ max: 2 ** 16 - 1 })
  const within = fc.nat({ max: 2 ** 32 - 1 })
  fc.assert(
    fc.property(log, within, log, within, (log, number, otherLog, otherNumber) => {
      const isBefore = log < otherLog || (log === otherLog && number < otherNumber)
      assert.equal(operationSub(log, number) < operationSub(otherLog, otherNumber), isBefore)
    })
  )
})

t.test('keys are those of indexes that were written before', async t => {
  const bytesOf = (sub: string): string => Buffer.from(sub, 'latin1').toString('hex')
  t.equal(bytesOf(numberSub(2 ** 40 + 0x8000_0001)), '010080000001')
  t.equal(bytesOf(numberSub(2 ** 48 - 1)), 'ffffffffffff')
  t.equal(bytesOf(operationSub(0x0102, 0x8000_0003)), '010280000003')
})
