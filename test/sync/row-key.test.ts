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
