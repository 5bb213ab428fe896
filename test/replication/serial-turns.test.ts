/** Work that must not overlap does not, and the rest is limited. */
import t from 'tap'
import { SerialTurns } from '../../src/replication/serial-turns.ts'
import { until } from '../support/until.ts'

interface Job {
  readonly name: string
  finish: (error?: Error) => void
}

t.test('one name at a time, and no more than so many names', async t => {
  const turns = new SerialTurns(2)
  const running: Job[] = []
  const start = (name: string): Promise<string> =>
    turns.run(
      name,
      () =>
        new Promise((resolve, reject) => {
          running.push({
            name,
            finish: error => (error === undefined ? resolve(name) : reject(error))
          })
        })
    )
  const done = [start('a'), start('a'), start('b'), start('c')]
  await until('two', () => running.length === 2)
  t.same(running.map(({ name }) => name).toSorted(), ['a', 'b'])
  running[0]?.finish(new Error('no'))
  await t.rejects(Promise.all(done.slice(0, 1)), /no/)
  await until('a third', () => running.length === 3)
  running[1]?.finish()
  running[2]?.finish()
  await until('all', () => running.length === 4)
  t.same(running.map(({ name }) => name).toSorted(), ['a', 'a', 'b', 'c'])
  running[3]?.finish()
  await turns.whenIdle()
  t.same(
    (await Promise.allSettled(done)).map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled', 'fulfilled']
  )
})
