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
  readonly told: boolean[]
} {
  const clock = new VirtualClock()
  const told: boolean[] = []
  const turns = new UploadTurns({ clock, device, onChange: () => told.push(turns.isWaiting) })
  return { clock, turns, told }
}

t.test('the one with less to send goes first, and only where both have much', async t => {
  const cases: readonly (readonly [what: string, here: Heads, there: Heads, waits: boolean])[] = [
    ['less', heads(0, SMALL), heads(MUCH), true],
    ['more', heads(0, MUCH), heads(SMALL), false],
    ['a little less than much', heads(0, SMALL - 1), heads(MUCH), false],
    ['nothing', heads(0), heads(MUCH), false],
    ['less, of several logs', heads(7, SMALL - 5, 5), heads(MUCH), true],
    ['less than what is not known here', heads(SMALL), heads(0, MUCH), true],
    ['more than the other has more', heads(0, SMALL, MUCH), heads(SMALL, 0, MUCH - 1), false]
  ]
  for (const [what, here, there, waits] of cases) {
    const { turns, told } = turnsOf()
    turns.meet('a', here, there)
    t.equal(turns.isWaiting, waits, what)
    t.strictSame(told, waits ? [true] : [])
    turns.close()
  }
})

t.test('of two with as much exactly one waits', async t => {
  const [a, b] = [turnsOf('a').turns, turnsOf('b').turns]
  const [ofA, ofB] = [heads(MUCH), heads(0, MUCH)]
  a.meet('b', ofA, ofB)
  b.meet('a', ofB, ofA)
  t.strictSame([a.isWaiting, b.isWaiting], [true, false])
  a.close()
})

t.test('it waits until the other one has merged all that it lacked', async t => {
  const { clock, turns, told } = turnsOf()
  turns.meet('a', heads(0, MUCH, MUCH), heads(3 * MUCH))
  turns.told('a', heads(3 * MUCH, MUCH))
  turns.told('a', heads(3 * MUCH, MUCH, MUCH - 1))
  turns.told('c', heads(3 * MUCH, MUCH, MUCH))
  t.strictSame(told, [true])
  turns.told('a', heads(3 * MUCH, MUCH, MUCH))
  t.strictSame(told, [true, false])
  clock.advance(TURN_MS_MAX)
  t.strictSame(told, [true, false], 'once')
})

t.test('it waits no longer than it may, for however many', async t => {
  const { clock, turns, told } = turnsOf()
  turns.meet('a', heads(0, SMALL), heads(MUCH))
  clock.advance(TURN_MS_MAX - 1)
  turns.meet('c', heads(0, SMALL), heads(MUCH))
  turns.told('a', heads(MUCH, SMALL))
  t.strictSame(told, [true], 'the other one')
  clock.advance(1)
  t.strictSame(told, [true, false])
  turns.told('c', heads(MUCH, SMALL))
  turns.gone('c')
  t.strictSame(told, [true, false])
})

t.test('who comes and goes is not waited for again and again', async t => {
  const { clock, turns, told } = turnsOf()
  for (let round = 0; round < 10; round++) {
    turns.meet('a', heads(0, SMALL), heads(MUCH))
    clock.advance(1)
    turns.gone('a')
  }
  t.strictSame(told, [true, false])
  clock.advance(TURN_INTERVAL_MS)
  turns.meet('a', heads(0, SMALL), heads(MUCH))
  t.strictSame(told, [true, false, true])
  turns.close()
  turns.close()
  turns.gone('a')
  turns.meet('a', heads(0, SMALL), heads(MUCH))
  t.strictSame([turns.isWaiting, clock.pendingTimers], [false, 0])
  t.strictSame(told, [true, false, true], 'nothing after its end')
})
