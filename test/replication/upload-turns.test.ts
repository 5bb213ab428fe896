/** Who of two devices that were long apart sends first, and for how long the other one is waited for. */
import t from 'tap'
import {
  TURN_ENTRIES_MIN,
  TURN_INTERVAL_MS,
  TURN_MS_MAX,
  UploadTurns,
  type Heads
} from '../../src/replication/upload-turns.ts'
import { logKey } from '../../src/sync/log.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const [ONE, TWO, THREE] = [1, 2, 3].map(index => logKey(String(index).repeat(64)))
const [SMALL, MUCH] = [TURN_ENTRIES_MIN, 10 * TURN_ENTRIES_MIN]

/** How far logs are merged: of `ONE`, `TWO` and `THREE`. */
function heads(...lengths: readonly number[]): Heads {
  const logs = [ONE, TWO, THREE].slice(0, lengths.length)
  return new Map(logs.map((log = logKey(''), index) => [log, lengths[index] ?? 0]))
}

function turnsOf(device = 'b'): {
  readonly clock: VirtualClock
  readonly turns: UploadTurns
  /** Which logs were held back after each change: of `ONE`, `TWO` and `THREE`. */
  readonly told: string[]
} {
  const clock = new VirtualClock()
  const told: string[] = []
  const turns = new UploadTurns({ clock, device, onChange: () => told.push(heldBack(turns)) })
  return { clock, turns, told }
}

function heldBack(turns: UploadTurns): string {
  return [ONE, TWO, THREE].map(log => Number(log && turns.isHeldBack(log))).join('')
}

t.test('the one with less to send goes first, and only where both have much', async t => {
  const cases: readonly (readonly [what: string, here: Heads, there: Heads, held: string])[] = [
    ['less', heads(0, SMALL), heads(MUCH), '100'],
    ['more', heads(0, MUCH), heads(SMALL), ''],
    ['a little less than much', heads(0, SMALL - 1), heads(MUCH), ''],
    ['nothing', heads(0), heads(MUCH), ''],
    ['less, of several logs', heads(7, SMALL - 5, 5), heads(MUCH), '100'],
    ['less than what is not known here', heads(SMALL), heads(0, MUCH, 1), '011'],
    ['more than the other has more', heads(0, SMALL, MUCH), heads(SMALL, 0, MUCH - 1), '']
  ]
  for (const [what, here, there, held] of cases) {
    const { turns, told } = turnsOf()
    turns.meet('a', here, there)
    t.strictSame(told, held === '' ? [] : [held], what)
    turns.close()
  }
})

t.test('of two with as much exactly one waits', async t => {
  const [a, b] = [turnsOf('a').turns, turnsOf('b').turns]
  const [ofA, ofB] = [heads(MUCH), heads(0, MUCH)]
  a.meet('b', ofA, ofB)
  b.meet('a', ofB, ofA)
  t.strictSame([heldBack(a), heldBack(b)], ['010', '000'])
  a.close()
})

t.test('it waits until the other one has merged all that it lacked', async t => {
  const { clock, turns, told } = turnsOf()
  turns.meet('a', heads(0, MUCH, MUCH), heads(3 * MUCH))
  turns.told('a', heads(3 * MUCH, MUCH))
  turns.told('a', heads(3 * MUCH, MUCH, MUCH - 1))
  turns.told('c', heads(3 * MUCH, MUCH, MUCH))
  t.strictSame(told, ['100'])
  turns.told('a', heads(3 * MUCH, MUCH, MUCH))
  t.strictSame(told, ['100', '000'])
  clock.advance(TURN_MS_MAX)
  t.strictSame(told, ['100', '000'], 'once')
})

t.test('it waits no longer than it may, for however many', async t => {
  const { clock, turns, told } = turnsOf()
  turns.meet('a', heads(0, SMALL), heads(MUCH))
  clock.advance(TURN_MS_MAX - 1)
  turns.meet('c', heads(0, SMALL), heads(0, 0, MUCH))
  turns.told('a', heads(MUCH, SMALL))
  t.strictSame(told, ['100', '101', '001'], 'for the other one')
  clock.advance(1)
  t.strictSame(told, ['100', '101', '001', '000'])
  turns.told('c', heads(MUCH, SMALL))
  turns.gone('c')
  t.equal(told.length, 4)
})

t.test('who comes and goes is not waited for again and again', async t => {
  const { clock, turns, told } = turnsOf()
  for (let round = 0; round < 10; round++) {
    turns.meet('a', heads(0, SMALL), heads(MUCH))
    clock.advance(1)
    if (round % 2 === 0) turns.gone('a')
  }
  t.strictSame(told, ['100', '000'])
  clock.advance(TURN_INTERVAL_MS)
  turns.meet('a', heads(0, SMALL), heads(MUCH))
  t.strictSame(told, ['100', '000', '100'])
  turns.meet('a', heads(0, SMALL), heads(MUCH, SMALL))
  t.strictSame(told, ['100', '000', '100', '000'], 'it came back and has all')
  turns.close()
  turns.close()
  turns.gone('a')
  turns.meet('a', heads(0, SMALL), heads(MUCH))
  t.strictSame([heldBack(turns), clock.pendingTimers], ['000', 0])
  t.equal(told.length, 4, 'nothing after its end')
})
