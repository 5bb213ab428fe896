/**
 * The benchmark is fair in the way its module comment says: subjects take turns, the turn moves
 * on, and only a cold question makes a subject forget, each time before it is asked.
 */
import { mkdir, mkdtemp, readdir, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { measure, type Plan } from '../../bench/measure.ts'
import { QUICK_SCALE, type Question } from '../../bench/question.ts'
import type { Subject, SubjectName } from '../../bench/subject.ts'

/** A plan over two folders that writes down what happens to them. */
async function makePlan(base: string, events: string[], cold: boolean): Promise<Plan> {
  const makeSubject = async (name: SubjectName): Promise<Subject> => {
    const directory = join(base, name)
    await mkdir(directory)
    return {
      name,
      directory,
      version: '1',
      mount: async () => void events.push(`${name} mount`),
      unmount: async () => void events.push(`${name} unmount`)
    }
  }
  const question: Question = {
    id: 'question',
    title: 'question',
    unit: { name: 's', of: seconds => seconds },
    cold,
    prepare: async ({ subject }) => void events.push(`${subject.name} prepare`),
    async ask({ subject, directory, number }) {
      events.push(`${subject.name} ${number}`)
      await mkdir(join(directory, `round-${number}`))
      return number
    }
  }
  return {
    subjects: [await makeSubject('native'), await makeSubject('grove')],
    questions: [question],
    scale: QUICK_SCALE,
    rounds: 2,
    archive: '',
    canDropCaches: false,
    report: () => {},
    signal: new AbortController().signal
  }
}

async function makeBase(t: { teardown(undo: () => Promise<void>): void }): Promise<string> {
  const base = await realpath(await mkdtemp(join(tmpdir(), 'grove-test-')))
  t.teardown(() => rm(base, { recursive: true }))
  return base
}

t.test('measure() lets the subjects take turns and moves the first turn on', async t => {
  const base = await makeBase(t)
  const events: string[] = []
  const [answer] = await measure(await makePlan(base, events, false))
  t.strictSame(events, [
    'native prepare',
    'grove prepare',
    'grove 1',
    'native 1',
    'native 2',
    'grove 2'
  ])
  t.strictSame(answer?.seconds, { grove: [1, 2], native: [1, 2] })
  t.strictSame(await readdir(join(base, 'grove')), [], 'it clears up')
})

t.test('measure() mounts a subject anew before each round of a cold question', async t => {
  const events: string[] = []
  await measure(await makePlan(await makeBase(t), events, true))
  t.strictSame(events.slice(2, 8), [
    'grove unmount',
    'grove mount',
    'grove 1',
    'native unmount',
    'native mount',
    'native 1'
  ])
})

t.test('measure() stops between two measurements when it is told to', async t => {
  const events: string[] = []
  const plan = await makePlan(await makeBase(t), events, false)
  await t.rejects(measure({ ...plan, signal: AbortSignal.abort(new Error('enough')) }), {
    message: 'enough'
  })
  t.strictSame(events, [])
})
