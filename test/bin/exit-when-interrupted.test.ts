/** An interrupt ends the process while the work is under way, and not before or after. */
import t from 'tap'
import { exitWhenInterrupted } from '../../bin/exit-when-interrupted.ts'

t.test('an interrupt counts only during the work', async t => {
  const said: string[] = []
  const run = (signal: AbortSignal, work: () => Promise<string>): Promise<string> =>
    exitWhenInterrupted({
      signal,
      work,
      say: () => said.push('interrupted'),
      exit: code => said.push(`exit ${code}`)
    })

  const during = new AbortController()
  const work = async (): Promise<string> => {
    during.abort()
    return Promise.resolve('done')
  }
  t.equal(await run(during.signal, work), 'done')
  t.strictSame(said.splice(0), ['interrupted', 'exit 1'])

  const after = new AbortController()
  t.equal(await run(after.signal, () => Promise.resolve('done')), 'done')
  await t.rejects(run(after.signal, () => Promise.reject(new Error('disk'))))
  after.abort()
  t.strictSame(said.splice(0), [])

  await run(after.signal, () => Promise.resolve('too late'))
  t.strictSame(said, ['interrupted', 'exit 1'], 'an interrupt that came before')
})
