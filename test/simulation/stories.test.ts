/**
 * Stories of several devices, over memory: what people do on each, and what all of them see.
 */
import t from 'tap'
import { openMemoryScenario } from './memory-scenario.ts'
import { fitsName } from './scenario.ts'
import { STORIES } from './stories.ts'

for (const { name, devices, tell } of STORIES) {
  t.test(name, async () => {
    const scenario = await openMemoryScenario(devices)
    try {
      await tell(scenario)
    } finally {
      await scenario.close()
    }
  })
}

t.test('a story that is not true is noticed', async t => {
  const { as, everyoneSees, everyoneLists, close } = await openMemoryScenario(['a', 'b'])
  await as('a').write('/f', '1')
  await t.rejects(everyoneSees('/f', '2'))
  await t.rejects(everyoneSees('/g', '1'))
  await t.rejects(everyoneLists('/', ['f', 'g']))
  await t.rejects(everyoneLists('/', []))
  t.throws(() => as('c'))
  await close()
})

t.test('a star stands for what a conflict name adds', async t => {
  const copy = 'f (conflict, my phone, 2026-01-02 03.04).txt'
  t.ok(fitsName('f*.txt', copy))
  t.ok(fitsName('f*.txt', copy.replace(').', ') 2.')))
  t.ok(fitsName('f.txt', 'f.txt'))
  t.notOk(fitsName('f*.txt', 'f.txt'))
  t.notOk(fitsName('f.txt', copy))
  t.notOk(fitsName('f*.txt', 'f and more.txt'))
  t.notOk(fitsName('g*.txt', copy))
})
