/** Work gives way to files in use, as long as it must and no longer. */
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { FilesFirst, REST_MS, WAY_MS_MAX } from '../../bin/files-first.ts'

/** How often the event loop comes round while work gives way once. */
async function turnsOf(way: Promise<void>): Promise<number> {
  let turns = 0
  const over = way.then(() => true)
  const turn = async (): Promise<boolean> => {
    await yieldOnce()
    turns += 1
    return false
  }
  while (!(await Promise.race([over, turn()])));
  return turns
}

t.test('work gives way for one turn while no file is used', async t => {
  const files = new FilesFirst()
  files.used()
  t.ok((await turnsOf(files.giveWay())) <= 2)
})

t.test('a use while it gives way is followed by a rest', async t => {
  const files = new FilesFirst()
  const from = performance.now()
  const way = files.giveWay()
  files.used()
  await way
  // Timers count in whole milliseconds.
  t.ok(performance.now() - from >= REST_MS - 1)
})

t.test('uses that follow each other closely all come before the work', async t => {
  const files = new FilesFirst()
  const order: string[] = []
  const way = files.giveWay().then(() => order.push('work'))
  files.used()
  await yieldOnce()
  await yieldOnce()
  order.push('use')
  files.used()
  await way
  t.strictSame(order, ['use', 'work'])
})

t.test('files that are never at rest do not hold it up for ever', async t => {
  const files = new FilesFirst()
  const program = setInterval(files.used, 0)
  const from = performance.now()
  const way = files.giveWay()
  files.used()
  await way
  clearInterval(program)
  await setTimeout(0)
  t.ok(performance.now() - from < 100 * WAY_MS_MAX)
})

function yieldOnce(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
