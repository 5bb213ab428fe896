/** A burst of requests is spread over turns of the event loop, and nothing else waits. */
import t from 'tap'
import {
  ANSWERS_PER_TURN,
  ANSWERS_WAITING_MAX,
  AnswerTurns
} from '../../src/replication/answer-turns.ts'

/** One turn of the event loop. */
function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

t.test('so many answers begin in a turn, the others in the next ones, in order', async t => {
  const turns = new AnswerTurns()
  const begun: number[] = []
  const count = 3 * ANSWERS_PER_TURN - 1
  for (let request = 0; request < count; request++) {
    const wait = turns.next()
    if (wait === undefined) begun.push(request)
    else void wait.then(() => begun.push(request))
  }
  const counts = [begun.length]
  for (let i = 0; i < 3; i++) {
    await turn()
    counts.push(begun.length)
  }
  t.strictSame(
    counts,
    [1, 2, 3, 3].map(turns => Math.min(turns * ANSWERS_PER_TURN, count))
  )
  t.strictSame(
    begun,
    begun.toSorted((left, right) => left - right)
  )
  t.equal(turns.next(), undefined, 'and then one begins at once again')
})

t.test('those that were heard while others waited come after them', async t => {
  const turns = new AnswerTurns()
  for (let request = 0; request <= ANSWERS_PER_TURN; request++) void turns.next()
  t.ok(turns.next(), 'in the same turn')
  await turn()
  await turn()
  t.equal(turns.next(), undefined)
})

t.test('a flood is not kept waiting without limit', async t => {
  const turns = new AnswerTurns()
  const waiting = Array.from({ length: ANSWERS_PER_TURN + ANSWERS_WAITING_MAX }, () => turns.next())
  t.equal(turns.next(), undefined)
  await Promise.all(waiting)
})
