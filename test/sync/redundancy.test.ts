/** Values of the redundancy attributes: which are taken, what they mean, which are refused. */
import t from 'tap'
import {
  COPIES_MAX,
  DEFAULT_DURABILITY,
  DEFAULT_REDUNDANCY,
  formatRedundancy,
  parseDurability,
  parseRedundancy,
  parseSites,
  redundancyKey,
  strictest
} from '../../src/sync/redundancy.ts'

t.test('parseRedundancy() takes a wish with or without a floor', async t => {
  t.same(parseRedundancy('3'), { copies: 3, floor: 2 })
  t.same(parseRedundancy('1'), { copies: 1, floor: 1 })
  t.same(parseRedundancy('5/2'), { copies: 5, floor: 2 })
  t.same(parseRedundancy('64/64'), { copies: COPIES_MAX, floor: COPIES_MAX })
  for (const text of ['', '0', '65', '3/4', '3/0', '03', '3/', ' 3', '3\n', '-1', '1e1', '3/2/1'])
    t.equal(parseRedundancy(text), undefined, JSON.stringify(text))
})

t.test('formatRedundancy() writes what parseRedundancy() reads', async t => {
  const levels = { copies: 4, floor: 1 }
  t.same(parseRedundancy(formatRedundancy(levels)), levels)
})

t.test('parseSites() and parseDurability() take what they know', async t => {
  t.equal(parseSites('2'), 2)
  for (const text of ['0', '65', '100', 'two', '', '2.0']) t.equal(parseSites(text), undefined)
  t.equal(parseDurability('level'), 'level')
  t.equal(parseDurability('Local'), undefined)
  t.equal(parseDurability(DEFAULT_DURABILITY), 'local')
})

t.test('strictest() satisfies both, and redundancyKey() tells levels apart', async t => {
  const other = { copies: 1, floor: 1, sites: 3 }
  t.same(strictest(DEFAULT_REDUNDANCY, other), { copies: 2, floor: 1, sites: 3 })
  t.not(redundancyKey(DEFAULT_REDUNDANCY), redundancyKey(other))
  t.equal(redundancyKey(other), redundancyKey({ ...other }))
})
