/** When a device must start new logs: a table of what the last run may have left. */
import t from 'tap'
import {
  epochNeeded,
  isSameHome,
  type EpochEvidence,
  type HomeIdentity,
  type RunMark
} from '../../src/replication/log-epoch.ts'
import { logKey } from '../../src/sync/log.ts'

const [operations, content] = [logKey('a'.repeat(64)), logKey('b'.repeat(64))]
const home: HomeIdentity = { device: '1', inode: '2', born: '3' }
const lengths = (left: number, right: number): RunMark['lengths'] =>
  new Map([
    [operations, left],
    [content, right]
  ])
const mark = (change: Partial<RunMark> = {}): RunMark => ({
  clean: true,
  bootId: 'boot 1',
  home,
  lengths: lengths(5, 9),
  ...change
})
const evidence = (change: Partial<EpochEvidence> = {}): EpochEvidence => ({
  mark: mark(),
  bootId: 'boot 1',
  home,
  lengths: lengths(5, 9),
  ...change
})
const copied: HomeIdentity = { device: '1', inode: '7', born: '8' }

t.test('epochNeeded() names the reason', async t => {
  const unclean = mark({ clean: false })
  for (const [name, change, reason] of [
    ['a clean stop', {}, false],
    ['a clean stop, then a new boot', { bootId: 'boot 2' }, false],
    ['kill -9', { mark: unclean }, false],
    ['kill -9 after more appends', { mark: unclean, lengths: lengths(6, 20) }, false],
    ['a loss of power', { mark: unclean, bootId: 'boot 2' }, 'power-lost'],
    ['a first start', { mark: undefined, lengths: new Map() }, false],
    ['logs without a mark', { mark: undefined }, 'unmarked'],
    ['a copied home', { home: copied }, 'moved'],
    ['a copied home after kill -9', { mark: unclean, home: copied }, 'moved'],
    ['a shorter operation log', { lengths: lengths(4, 9) }, 'shorter'],
    ['a shorter content log', { lengths: lengths(5, 8) }, 'shorter'],
    ['a missing log', { lengths: new Map([[operations, 5]]) }, 'shorter'],
    ['a log lost while it ran', { mark: unclean, lengths: lengths(4, 9) }, 'shorter'],
    ['an older home restored in place', { bootId: 'boot 2', lengths: lengths(2, 2) }, 'shorter']
  ] as const)
    t.equal(epochNeeded(evidence(change)), reason, name)
})

t.test('isSameHome() knows a copy, and the same home on a renumbered device', async t => {
  t.ok(isSameHome(home, { ...home, device: '9' }), 'the disk has another number after a boot')
  t.ok(isSameHome(home, { ...home, born: '9' }), 'the file system does not keep the birth')
  t.notOk(isSameHome(home, { ...home, inode: '9' }), 'a copy on the same disk')
  t.notOk(isSameHome(home, { inode: '2', device: '9', born: '9' }), 'a copy on another disk')
})
