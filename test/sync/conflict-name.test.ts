/** Conflict names are those of the oracle, whatever the name, the device and the time. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { conflictName, resemblesConflictName } from '../../src/sync/conflict-name.ts'
import { NAME_BYTES_MAX, type Name } from '../../src/sync/operation.ts'
import { arbitraryName } from '../support/arbitrary-operation.ts'
import { conflictName as oracleName } from '../support/model-name.ts'

const EVER = 9e12
const LAPTOP = { device: 'laptop', time: { sec: 1_700_000_000, nsec: 0 } }

t.test('a conflict name says device and minute and keeps the extension', async t => {
  const nameOf = (wanted: string, attempt = 1) => conflictName(wanted as Name, LAPTOP, attempt)
  t.equal(nameOf('a.txt'), 'a (conflict, laptop, 2023-11-14 22.13).txt')
  t.equal(nameOf('a.txt', 2), 'a (conflict, laptop, 2023-11-14 22.13) 2.txt')
  t.equal(nameOf('.profile'), '.profile (conflict, laptop, 2023-11-14 22.13)')
  t.ok(resemblesConflictName(nameOf('a')))
  t.notOk(resemblesConflictName('a (conflict)' as Name))
})

t.test('it is the name that the oracle gives', async () => {
  const times = fc.oneof(
    fc.integer({ min: -EVER, max: EVER }),
    fc.integer({ min: -100, max: 4e9 }),
    fc.constantFrom(-1, 0, 951_782_399, 951_782_400, 4_107_542_399, 4_107_542_400, -62_167_219_201)
  )
  const wanted = fc.oneof(arbitraryName, fc.constantFrom('a.b' as Name, 'é'.repeat(127) as Name))
  fc.assert(
    fc.property(wanted, fc.string(), times, fc.nat(30), (name: Name, device, sec, attempt) => {
      const by = { device, time: { sec, nsec: 0 } }
      const made = conflictName(name, by, attempt + 1)
      assert.equal(made, oracleName(name, by, attempt + 1))
      assert.ok(made.length <= NAME_BYTES_MAX)
    }),
    { numRuns: 3000 }
  )
})
