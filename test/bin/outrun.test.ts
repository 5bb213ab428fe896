/**
 * A home that was restored from a backup: another device knows more of its logs than it does. It
 * goes on in new logs by itself, has back what it had written, and no device stops merging.
 */
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { bootstrapProcess } from './bootstrap-process.ts'
import { equal, firstDevice, nextDevice, reads } from './device-pair.ts'
import { until } from './grove-home.ts'

/** What a backup that keeps the folder itself brings back. */
const RESTORED = ['logs/db', 'index', 'index-seal', 'last-run.json', 'epochs.json'] as const

t.test('a restored home goes on in new logs and loses nothing', async t => {
  const environment = await bootstrapProcess(t)
  const desk = await firstDevice(t, environment)
  const phone = await nextDevice(t, desk, environment)
  await desk.write('first', 'before the backup')
  await reads(phone, 'first', 'before the backup')
  await desk.succeed(['stop'])
  const backup = join(desk.folder, 'backup')
  await cp(desk.directory, backup, { recursive: true })

  await desk.mount()
  await desk.write('second', 'after the backup')
  const big = 'x'.repeat(300_000)
  await desk.write('big', big)
  await reads(phone, 'second', 'after the backup')
  await reads(phone, 'big', big)
  await desk.succeed(['stop'])
  for (const name of RESTORED) {
    await rm(join(desk.directory, name), { recursive: true })
    await cp(join(backup, name), join(desk.directory, name), { recursive: true })
  }

  const pid = await desk.mount()
  await until(async () => /new log epoch 2: outrun/.test(await desk.log()), 'new logs')
  await until(async () => (await desk.status()).mounts.length === 1, 'it is mounted again')
  t.equal((await desk.status()).pid, pid, 'by the same process')
  t.equal((await desk.status()).logs.length, 4)
  await reads(desk, 'second', 'after the backup')
  await reads(desk, 'big', big)
  await desk.write('third', 'in new logs')
  await reads(phone, 'third', 'in new logs')
  await phone.write('fourth', 'of the phone')
  await reads(desk, 'fourth', 'of the phone')
  await equal(desk, phone)
  for (const grove of [desk, phone])
    t.match(await grove.json(['status']), { network: { quarantined: [], waitingEntries: 0 } })
  await desk.kill(pid)
  await desk.mount()
  await equal(desk, phone)
  t.equal((await desk.status()).logs.length, 4, 'once')
  t.equal(await desk.succeed(['verify']), 'everything is whole\n')
})
