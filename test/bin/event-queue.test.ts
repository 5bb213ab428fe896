/** What a callback is told arrives in order, bounded, with its end and its failure. */
import t from 'tap'
import { EventQueue, EVENTS_WAITING_MAX } from '../../bin/event-queue.ts'

async function collect<T>(queue: EventQueue<T>): Promise<T[]> {
  const events: T[] = []
  for await (const event of queue) events.push(event)
  return events
}

t.test('events arrive in order, whoever is faster', async t => {
  const numbers = Array.from({ length: EVENTS_WAITING_MAX * 3 }, (_, at) => at)
  const queue = new EventQueue<number>()
  const produce = async (): Promise<void> => {
    for (const each of numbers) await queue.put(each)
    queue.end()
  }
  const [events] = await Promise.all([collect(queue), produce()])
  t.strictSame(events, numbers)
})

t.test('put() waits while too much waits, offer() drops it', async t => {
  const queue = new EventQueue<number>()
  let put = 0
  const produce = async (): Promise<void> => {
    for (let each = 0; each < EVENTS_WAITING_MAX + 50; each++) {
      await queue.put(each)
      put++
    }
    queue.end()
  }
  const producing = produce()
  await new Promise(resolve => setTimeout(resolve, 10))
  t.equal(put, EVENTS_WAITING_MAX - 1)
  queue.offer(-1)
  const events = await collect(queue)
  await producing
  t.equal(events.length, EVENTS_WAITING_MAX + 50)
  t.notOk(events.includes(-1))
})

t.test('a failure comes after what went before', async t => {
  const queue = new EventQueue<string>()
  queue.offer('first')
  queue.end(new Error('disk'))
  const events: string[] = []
  await t.rejects(
    async () => {
      for await (const event of queue) events.push(event)
    },
    { message: 'disk' }
  )
  t.strictSame(events, ['first'])
})

t.test('a consumer that leaves frees the producer', async t => {
  const queue = new EventQueue<number>()
  const produce = async (): Promise<string> => {
    for (let each = 0; each < EVENTS_WAITING_MAX * 2; each++) await queue.put(each)
    return 'done'
  }
  const producing = produce()
  for await (const event of queue) if (event === 3) break
  t.equal(await producing, 'done')
})
