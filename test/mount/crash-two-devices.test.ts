/**
 * Two devices write at the same time while one or both daemons are killed at random moments.
 * Everything that was fsynced on either is there on both in the end, byte for byte.
 *
 * GROVE_CRASH_ROUNDS says how many rounds: 3 by default.
 */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import t from 'tap'
import { bootstrapProcess } from '../bin/bootstrap-process.ts'
import { equal, firstDevice, nextDevice } from '../bin/device-pair.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { brokenPromises, startWriter } from './crash-clients.ts'

const ROUNDS = Number(process.env['GROVE_CRASH_ROUNDS'] ?? 3)
const WRITING_MS_MIN = 100
const WRITING_MS_SPREAD = 900

t.setTimeout(3_600_000)

const hasFuse = await access('/dev/fuse', constants.R_OK | constants.W_OK).then(
  () => true,
  () => false
)
const options = hasFuse ? {} : { skip: '/dev/fuse is missing or may not be opened' }

t.test(`nothing fsynced is lost when devices are killed, ${ROUNDS} rounds`, options, async t => {
  const environment = await bootstrapProcess(t)
  const desk = await firstDevice(t, environment)
  const phone = await nextDevice(t, desk, environment)
  const devices = [desk, phone]
  const random = new SeededRandom(ROUNDS)
  const promised: string[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    const writers = await Promise.all(
      devices.map(({ mountPoint }, at) => startWriter(mountPoint, 2 * round + at))
    )
    await new Promise(wake => setTimeout(wake, WRITING_MS_MIN + random.integer(WRITING_MS_SPREAD)))
    const victims = [[desk], [phone], devices][random.integer(3)] ?? devices
    for (const victim of victims) await victim.kill((await victim.status()).pid)
    for (const { child } of writers) child.kill('SIGKILL')
    const lines = await Promise.all(writers.map(writer => writer.promises()))
    for (const victim of victims) await victim.mount()
    for (const [at, device] of devices.entries()) {
      t.ok((lines[at]?.length ?? 0) > 0, `round ${round}: ${lines[at]?.length} files were fsynced`)
      const broken = await brokenPromises(device.mountPoint, lines[at] ?? [])
      t.equal(broken, '', 'they are there at once where they were written')
    }
    promised.push(...lines.flat())
  }
  for (const device of devices) await device.succeed(['sync', '--wait', '--timeout', '55'])
  await equal(desk, phone)
  for (const { mountPoint } of devices)
    t.equal(await brokenPromises(mountPoint, promised), '', `all ${promised.length} are there`)
  for (const device of devices) {
    t.equal(await device.succeed(['verify']), 'everything is whole\n')
    t.equal((await device.status()).logs.length, 2, 'a kill starts no log epoch')
  }
})
