/** Who may connect, and how often strangers may knock. */
import t from 'tap'
import {
  Admission,
  STRANGER_ATTEMPTS_MAX,
  STRANGER_ATTEMPT_MS
} from '../../src/replication/admission.ts'
import { GUESTS_MAX, STRANGERS_MAX } from '../../src/replication/peer-network.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const wanted = new Uint8Array(32).fill(1)
const stranger = new Uint8Array(32).fill(2)
const guest = new Uint8Array(32).fill(3)

function admission() {
  const clock = new VirtualClock()
  const state = { strangers: 0, guests: 0, mayConnect: true, asked: 0 }
  const made = new Admission({
    clock,
    isWanted: publicKey => publicKey[0] === 1,
    mayConnect: () => {
      state.asked++
      return state.mayConnect
    },
    isGuest: publicKey => publicKey[0] === 3,
    strangers: () => state.strangers,
    guests: () => state.guests
  })
  return { clock, state, made }
}

const admitted = (made: Admission, publicKey: Uint8Array, attempts: number): number =>
  Array.from({ length: attempts }, () => made.admits(publicKey)).filter(Boolean).length

t.test('admits() lets strangers knock so often, and again as time passes', async t => {
  const { clock, made } = admission()
  t.equal(admitted(made, stranger, STRANGER_ATTEMPTS_MAX + 5), STRANGER_ATTEMPTS_MAX)
  t.equal(made.refused, 5)
  clock.advance(STRANGER_ATTEMPT_MS - 1)
  t.notOk(made.admits(stranger))
  clock.advance(1)
  t.equal(admitted(made, stranger, 2), 1)
  clock.advance(1_000 * STRANGER_ATTEMPT_MS)
  t.equal(clock.pendingTimers, 0, 'no timer runs once all is refilled')
  t.equal(admitted(made, stranger, STRANGER_ATTEMPTS_MAX + 5), STRANGER_ATTEMPTS_MAX)
})

t.test('admits() always has a place for wanted devices', async t => {
  const { state, made } = admission()
  state.strangers = STRANGERS_MAX
  admitted(made, stranger, STRANGER_ATTEMPTS_MAX)
  t.equal(admitted(made, wanted, 1_000), 1_000)
  t.equal(made.refused, STRANGER_ATTEMPTS_MAX)
})

t.test('admits() has places for guests, whatever strangers do', async t => {
  const { state, made } = admission()
  state.strangers = STRANGERS_MAX
  state.guests = GUESTS_MAX - 1
  t.equal(admitted(made, guest, STRANGER_ATTEMPTS_MAX + 5), STRANGER_ATTEMPTS_MAX + 5)
  state.guests = GUESTS_MAX
  t.notOk(made.admits(guest))
})

t.test('admits() has no place for a stranger too many, and does not ask about it', async t => {
  const { state, made } = admission()
  state.strangers = STRANGERS_MAX
  t.notOk(made.admits(stranger))
  t.notOk(made.mayApproach(stranger))
  t.equal(state.asked, 0)
  t.ok(made.mayApproach(wanted))
  state.strangers = STRANGERS_MAX - 1
  t.ok(made.admits(stranger))
  t.ok(made.mayApproach(stranger))
})

t.test('whoever may not connect is refused, wanted or not', async t => {
  const { state, made } = admission()
  state.mayConnect = false
  t.notOk(made.admits(wanted))
  t.notOk(made.admits(stranger))
  t.equal(made.refused, 2)
  t.notOk(made.mayApproach(wanted))
  t.notOk(made.mayApproach(stranger))
  t.equal(made.refused, 2, 'only those that knock are counted')
})

t.test('close() stops its timer', async t => {
  const { clock, made } = admission()
  made.admits(stranger)
  t.equal(clock.pendingTimers, 1)
  made.close()
  t.equal(clock.pendingTimers, 0)
})
