/**
 * The benchmark judges with the right numbers: medians, ratios of medians in the direction of
 * speed, and goals that are missed when they are missed.
 */
import t from 'tap'
import type { Answer } from '../../bench/measure.ts'
import { FULL_SCALE, MICROSECONDS_PER_FILE, type Question } from '../../bench/question.ts'
import { create } from '../../bench/questions/create.ts'
import { fsync } from '../../bench/questions/fsync.ts'
import { untar } from '../../bench/questions/untar.ts'
import {
  isMet,
  median,
  renderJson,
  renderMarkdown,
  speedOf,
  spread,
  type Circumstances
} from '../../bench/report.ts'

const facts: Circumstances = {
  date: '2026-11-20',
  machine: { processor: 'P', cores: 2 },
  subjects: { native: 'ext4', bindfs: 'missing', gocryptfs: '2.3', grove: '0.1.0' },
  rounds: 3,
  scale: FULL_SCALE,
  cold: 'thrown away'
}

const answer = (question: Question, seconds: Answer['seconds']): Answer => ({ question, seconds })

t.test('median() takes the middle, or the mean of two', async t => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 3, 2]), 2.5)
  t.equal(median([7]), 7)
  t.throws(() => median([]))
})

t.test('spread() tells a quiet machine from a busy one', async t => {
  t.equal(spread([2, 2, 2]), 1)
  t.equal(spread([1, 2, 3, 4, 100]), 2, 'one outlier does not count')
  t.equal(spread([5]), 1)
  const text = renderMarkdown([answer(create, { native: [1, 1, 1], grove: [1, 1, 3, 3] })], facts)
  t.match(text, 'Unsteady, with quartiles more than 1.5 × apart: create 4 KiB (grove).')
})

t.test('speedOf() is above 1 when the subject takes less time', async t => {
  const measured = answer(create, { native: [9, 1, 2], grove: [1, 1, 50] })
  t.equal(speedOf(measured, { subject: 'grove', against: 'native' }), 2)
  t.equal(speedOf(measured, { subject: 'native', against: 'grove' }), 0.5)
  t.equal(speedOf(measured, { subject: 'grove', against: 'bindfs' }), undefined)
})

t.test('isMet() holds the goals at their edges', async t => {
  for (const { question, against, groveMax } of [
    { question: create, against: 'gocryptfs', groveMax: 2 },
    { question: fsync, against: 'native', groveMax: 8 },
    { question: untar, against: 'gocryptfs', groveMax: 2.5 }
  ] as const) {
    const { goal } = question
    if (goal === undefined) throw new Error(`${question.id} has no goal`)
    const at = (grove: number): boolean | undefined =>
      isMet(answer(question, { [against]: [1], grove: [grove] }), goal)
    t.equal(at(groveMax), true, `${question.id} at the edge`)
    t.equal(at(groveMax * 1.01), false, `${question.id} beyond`)
    t.equal(isMet(answer(question, { [against]: [1] }), goal), undefined, 'not measured')
  }
})

t.test(
  'renderMarkdown() prints figures, ratios and verdicts, and no verdict without figures',
  async t => {
    const text = renderMarkdown(
      [
        answer(create, { native: [0.05], gocryptfs: [0.2], grove: [0.5] }),
        answer(untar, { native: [1], gocryptfs: [2] })
      ],
      facts
    )
    const [, , first = '', second = ''] = text.split('\n').filter(line => line.startsWith('|'))
    const cells = (line: string): string[] => line.split('|').map(cell => cell.trim())
    t.strictSame(cells(first).slice(2, 7), ['50.0 µs', '200 µs', '500 µs', '0.100', '0.400'])
    t.equal(cells(first)[8], 'no')
    t.strictSame(cells(second).slice(2, 7), ['1.00 s', '2.00 s', '-', '-', '-'])
    t.equal(cells(second)[8], '')
    t.match(text, 'bindfs: missing')
    t.match(text, '2026-11-20')
  }
)

t.test('renderJson() keeps every measurement', async t => {
  const measured = answer(create, { gocryptfs: [0.1, 0.3, 0.2], grove: [0.1] })
  const parsed = JSON.parse(renderJson([measured], facts)) as {
    questions: { id: string; met: boolean; unit: string; seconds: object; medians: object }[]
  }
  t.match(parsed, { date: '2026-11-20', rounds: 3, questions: [{ id: 'create', met: true }] })
  t.strictSame(parsed.questions[0]?.seconds, { gocryptfs: [0.1, 0.3, 0.2], grove: [0.1] })
  t.strictSame(parsed.questions[0]?.medians, { gocryptfs: 200, grove: 100 })
  t.equal(parsed.questions[0]?.unit, MICROSECONDS_PER_FILE.name)
})
