/** Logs get small numbers in order, and what has none is said so. */
import t from 'tap'
import { logKey } from '../../src/sync/log.ts'
import { LogNumbers, LOGS_MAX } from '../../src/sync/log-numbers.ts'
import { ROOT_LOG } from '../../src/sync/operation.ts'

const key = (number: number) => logKey(number.toString(16).padStart(64, '0'))

t.test('numbers are given in order, and the log of the root has number 0', async t => {
  const logs = new LogNumbers()
  t.equal(logs.numberOf(ROOT_LOG), 0)
  t.equal(logs.keyOf(0), ROOT_LOG)
  t.equal(logs.add(key(7)), 1)
  t.equal(logs.add(key(5)), 2)
  t.equal(logs.count, 3)
  for (const number of [1, 2]) t.equal(logs.numberOf(logs.keyOf(number)), number)
  t.equal(logs.find(key(5)), 2)
})

t.test(
  'what has no number: undefined, MALFORMED from an operation, DAMAGED from a row',
  async t => {
    const logs = new LogNumbers()
    t.equal(logs.find(key(1)), undefined)
    t.throws(() => logs.numberOf(key(1)), { code: 'MALFORMED' })
    for (const number of [1, -1, 0.5]) t.throws(() => logs.keyOf(number), { code: 'DAMAGED' })
  }
)

t.test(`there are ${LOGS_MAX} numbers and no more`, async t => {
  const logs = new LogNumbers()
  while (logs.count < LOGS_MAX) logs.add(key(logs.count))
  t.throws(() => logs.add(key(LOGS_MAX)), { code: 'MALFORMED' })
  t.equal(logs.count, LOGS_MAX)
  t.equal(logs.numberOf(key(LOGS_MAX - 1)), LOGS_MAX - 1)
})
