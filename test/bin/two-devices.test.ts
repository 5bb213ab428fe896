/**
 * Two real daemons on one machine: invited, joined, mounted, and what one writes the other reads,
 * also after either was killed.
 */
import { join } from 'node:path'
import t from 'tap'
import { bootstrapProcess } from './bootstrap-process.ts'
import { equal, firstDevice, nextDevice, reads } from './device-pair.ts'
import { runProgram } from './grove-home.ts'

t.test('what one device writes the other reads', async t => {
  const environment = await bootstrapProcess(t)
  const desk = await firstDevice(t, environment)
  await desk.write('before', 'written before anybody joined')
  const phone = await nextDevice(t, desk, environment)
  await reads(phone, 'before', 'written before anybody joined')
  await phone.write('reply', 'from the phone')
  await reads(desk, 'reply', 'from the phone')
  await runProgram('mkdir', [join(desk.mountPoint, 'd')])
  await desk.write('d/big', 'x'.repeat(300_000))
  await reads(phone, 'd/big', 'x'.repeat(300_000))
  await equal(desk, phone)

  t.match(await desk.json(['sync', '--wait', '--timeout', '30']), {
    missingEntries: 0,
    missingBytes: 0,
    online: 1,
    devices: 1
  })
  t.match(await desk.json(['devices']), {
    devices: [
      { name: 'desk', isThis: true, online: true },
      { name: 'phone', isThis: false, online: true, isSuspended: false }
    ]
  })
  t.match(await desk.json(['status']), {
    network: { state: 'on', devices: 1, online: 1, quarantined: [] }
  })
  t.match(await phone.succeed(['devices']), /^phone +[0-9a-f]{16} +this device\ndesk .* online /)
  t.strictSame(await phone.json(['conflicts']), {
    directory: phone.mountPoint,
    count: 0,
    conflicts: []
  })
  t.equal(await phone.succeed(['verify']), 'everything is whole\n')
})

t.test('both are killed and go on where they were, also alone', async t => {
  const environment = await bootstrapProcess(t)
  const desk = await firstDevice(t, environment)
  const phone = await nextDevice(t, desk, environment)
  await desk.write('shared', 'of the desk')
  await reads(phone, 'shared', 'of the desk')
  await phone.kill((await phone.status()).pid)
  await desk.write('while away', 'of the desk')
  await desk.kill((await desk.status()).pid)

  await phone.mount()
  t.equal(await phone.read('shared'), 'of the desk', 'without the other device')
  await phone.write('shared', 'of the phone')
  t.match(await phone.json(['devices']), { devices: [{ name: 'phone' }, { online: false }] })
  t.equal((await phone.status()).logs.length, 2, 'a kill starts no log epoch')

  await desk.mount()
  await reads(desk, 'shared', 'of the phone')
  await reads(phone, 'while away', 'of the desk')
  await equal(desk, phone)
  await phone.succeed(['stop'])
  t.equal(await phone.succeed(['verify']), 'everything is whole\n')
  t.match(await phone.json(['rebuild-index']), { rebuilt: true })
  await phone.mount()
  await equal(desk, phone)
})
