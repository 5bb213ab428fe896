/**
 * What is asked of copies on other computers: how soon a lost one is replaced, and what it costs to
 * wait for another disk.
 *
 * @module
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pause, run } from '../command.ts'
import { median } from '../report.ts'
import { eventually, type Device } from './device.ts'
import { Fleet } from './fleet.ts'
import {
  client,
  PATIENCE_MS,
  SLOW_LINK_MS,
  transferBare,
  withFleet,
  type DeviceQuestion,
  type DeviceScale,
  type Figure
} from './questions.ts'

/** How much a wait for another disk may cost besides the round trip and a local fsync, in milliseconds. */
const REMOTE_DISK_MS = 15

/** What is written: so much is sent in one flight over a connection that was idle. */
const FSYNC_KIB = [4, 16] as const

/** All of them, in the order in which they are asked. */
export const COPIES_QUESTIONS: readonly DeviceQuestion[] = [
  { id: 'repair', ask: repair },
  { id: 'durability', ask: durability }
]

/**
 * One holder has a copy of a large file and is killed; another is there. At the floor no absence is
 * waited out, though the copy of who is away counts for the grace: with the new one there are three.
 */
async function repair(base: string, { fileBytes }: DeviceScale): Promise<readonly Figure[]> {
  const bare = await transferBare(base, fileBytes)
  const fleet = await Fleet.onLoopback(base, ['one'])
  return withFleet(fleet, async () => {
    await fleet.begin()
    const one = fleet.device(0)
    const first = await fleet.hold('first', '2GB')
    await one.grove('redundancy', one.directory, '2/2')
    const mebibytes = String(fileBytes / 2 ** 20)
    const source = ['if=/dev/urandom', 'bs=1M', `count=${mebibytes}`, 'conv=fsync']
    await run('dd', [...source, `of=${join(one.directory, 'large')}`], { timeoutMs: PATIENCE_MS })
    await eventually('the first holder has it', PATIENCE_MS, () => hasCopies(one, 2))
    await fleet.hold('second', '2GB')
    await pause(2_000)
    const killed = performance.now()
    await first.end('SIGKILL')
    await eventually('the loss is seen', PATIENCE_MS, () => isAnyAway(one))
    const seen = performance.now()
    await eventually('the second holder has it', PATIENCE_MS, () => hasCopies(one, 3))
    const done = performance.now()
    const [whole, copying] = [(done - killed) / 1000, (done - seen) / 1000]
    return [
      { what: `${mebibytes} MiB through the bare stack`, value: `${bare.toFixed(1)} s` },
      {
        what: 'kill -9 of a holder until its loss is seen',
        value: `${(whole - copying).toFixed(1)} s`
      },
      {
        what: `its ${mebibytes} MiB are on another after the loss was seen`,
        value: `${copying.toFixed(1)} s, ${(copying / bare).toFixed(2)} x`,
        goal: '2 x',
        met: copying <= 2 * bare
      },
      {
        what: 'the same, from the kill',
        value: `${whole.toFixed(1)} s, ${(whole / bare).toFixed(2)} x`,
        goal: '2 x',
        met: whole <= 2 * bare
      }
    ]
  })
}

/** An fsync that waits for another disk, over a link that delays. */
async function durability(base: string, { rounds }: DeviceScale): Promise<readonly Figure[]> {
  const count = Math.ceil(rounds / 10)
  const toHolder = await Fleet.onSlowLink(base, SLOW_LINK_MS)
  const ofHolder = await withFleet(toHolder, async () => {
    await toHolder.begin()
    await toHolder.hold('holder', '1GB', 1)
    return compareFsync('a holder', toHolder.device(0), count)
  })
  const folder = join(base, 'two')
  await mkdir(folder)
  const toDevice = await Fleet.onSlowLink(folder, SLOW_LINK_MS)
  const ofDevice = await withFleet(toDevice, async () => {
    await toDevice.begin()
    await toDevice.join(1, 'all')
    return compareFsync('a device', toDevice.device(0), count)
  })
  return [...ofHolder, ...ofDevice]
}

async function compareFsync(
  keeper: string,
  device: Device,
  count: number
): Promise<readonly Figure[]> {
  const figures: Figure[] = []
  for (const kib of FSYNC_KIB) {
    const measure = async (wait: string): Promise<number> => {
      const directory = join(device.directory, `${wait}-${kib}`)
      await run('mkdir', [directory])
      await setAttribute(directory, 'user.grove.durability', wait)
      const output = await client('fsync-client', [directory, String(count), String(kib * 1024)])
      return median(JSON.parse(output) as number[])
    }
    const local = await measure('local')
    const peer = await measure('peer')
    const goal = 2 * SLOW_LINK_MS + local + REMOTE_DISK_MS
    figures.push(
      { what: `fsync of ${kib} KiB with durability=local, median of ${count}`, value: ms(local) },
      {
        what: `the same with durability=peer, ${keeper} ${SLOW_LINK_MS} ms away`,
        value: ms(peer),
        goal: `${goal.toFixed(0)} ms: a round trip, both disks`,
        met: peer <= goal
      }
    )
  }
  return figures
}

async function setAttribute(path: string, name: string, value: string): Promise<void> {
  const script = 'import os, sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode())'
  await run('python3', ['-c', script, path, name, value])
}

async function hasCopies(device: Device, copies: number): Promise<boolean> {
  const script = 'import os, sys; print(os.getxattr(sys.argv[1], "user.grove.copies").decode())'
  const output = await run('python3', ['-c', script, join(device.directory, 'large')])
  return Number(output) >= copies
}

async function isAnyAway(device: Device): Promise<boolean> {
  const listed = JSON.parse(await device.grove('holders', '--json')) as unknown
  return JSON.stringify(listed).includes('"online":false')
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`
}
