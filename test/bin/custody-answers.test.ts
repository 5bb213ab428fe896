/** A holder is not removed before it is known what the drive needs. */
import t from 'tap'
import { CustodyAnswers, type CustodyAnswersParts } from '../../bin/custody-answers.ts'
import { until } from '../support/until.ts'

const NOTHING = { blocks: 0, bytes: 0 }

/** Answers about one holder, that has what nobody else has. */
function stage() {
  const done: string[] = []
  const info = { id: 'a'.repeat(64), kind: 'holder', name: 'anna', addedMs: 0 }
  const status = { info, state: 'held', isConnected: true, kept: NOTHING, seenMs: 0, provenMs: 0 }
  const custodian = {
    areNeedsKnown: false,
    keeperStatus: () => [status],
    waitingReleases: () => [],
    without: () => ({
      belowFloor: { blocks: custodian.areNeedsKnown ? 1 : 0, bytes: 0 },
      lost: NOTHING
    }),
    survival: () => ({ levels: [] })
  }
  const custody = {
    custodian,
    connections: { problemOf: () => undefined },
    balances: { mibSecondsOf: () => undefined },
    setLeaving: (_: string, isLeaving: boolean) => done.push(`leaving ${String(isLeaving)}`)
  }
  const holder = { id: info.id, statement: { name: info.name } }
  const peers = { holders: { all: () => [holder] } }
  const parts = { custody, peers } as unknown as CustodyAnswersParts
  return { answers: new CustodyAnswers(parts), custodian, done }
}

t.test('just after a start it is waited for, and then judged', async t => {
  const { answers, custodian, done } = stage()
  const { signal } = new AbortController()
  const lines: unknown[] = []
  const removal = (async () => {
    for await (const line of answers.removeHolder({ holder: 'anna', force: false }, signal))
      lines.push(line)
  })()
  await until('it says that it waits', () => lines.length > 0)
  t.same(done, [], 'nothing was done by then')
  custodian.areNeedsKnown = true
  await t.rejects(removal, { code: 'FAILED', message: /fewer copies than their floor/ })
  t.same(done, [])
})

t.test('whoever does not want to wait goes', async t => {
  const { answers, done } = stage()
  const giveUp = new AbortController()
  for await (const line of answers.removeHolder({ holder: 'anna', force: false }, giveUp.signal)) {
    t.same(line, { kind: 'progress', done: 0, total: 0 })
    giveUp.abort()
  }
  t.same(done, [])
})
