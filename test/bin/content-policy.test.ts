/** What of the other devices' content is kept here, as `grove config content` says. */
import t from 'tap'
import { bootstrapProcess } from './bootstrap-process.ts'
import { firstDevice, invite, reads, syncStatus } from './device-pair.ts'
import { GroveHome, until } from './grove-home.ts'

t.test('content on demand comes when it is read, and all of it when asked for', async t => {
  const environment = await bootstrapProcess(t)
  const desk = await firstDevice(t, environment)
  const phone = await GroveHome.make(t, { environment })
  await phone.succeed(['join', await invite(desk), '--name', 'phone'])
  await phone.succeed(['config', 'content', 'on-demand'])
  await phone.mount()
  const text = 'x'.repeat(500_000)
  await desk.write('a', text)
  await desk.write('b', text)
  await until(async () => (await syncStatus(phone)).missingBytes >= 1_000_000, 'both are known')
  await reads(phone, 'a', text)
  t.ok((await syncStatus(phone)).missingBytes >= 500_000, 'the other one was not fetched')
  t.match(await phone.json(['sync', '--wait', '--timeout', '30']), { missingBytes: 0 })
  await desk.succeed(['stop'])
  t.equal(await phone.read('b'), text, 'also without the other device')
})
