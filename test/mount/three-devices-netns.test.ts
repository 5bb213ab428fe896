/**
 * Three computers of a local network without the internet, played by network namespaces: one
 * drive on all of them, git through the mounts, a cut cable, the same file edited on both sides.
 */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { conflictsOf, invite, reads } from '../bin/device-pair.ts'
import { GroveHome, runProgram, until } from '../bin/grove-home.ts'
import { BRIDGE_ADDRESS, NetworkNamespaces } from '../support/network-namespaces.ts'

const PORT = 49_737
const NAMES = ['laptop', 'desktop', 'phone'] as const
/** All the commands of a test, on a busy machine. */
const TEST_MS_MAX = 300_000

const obstacle = existsSync('/dev/fuse')
  ? await NetworkNamespaces.obstacle()
  : 'no /dev/fuse, so no mounts here'

t.setTimeout(TEST_MS_MAX)

/** The devices of one drive, in the order of {@link NAMES}, mounted. */
type Devices = readonly [GroveHome, GroveHome, GroveHome]

async function threeDevices(t: Test, network: NetworkNamespaces): Promise<Devices> {
  const environment = { GROVE_BOOTSTRAP: `${BRIDGE_ADDRESS}:${PORT}`, GROVE_LISTEN: '' }
  const node = await GroveHome.make(t, { wrapper: network.atBridge })
  const child = node.start(['bootstrap', '--host', BRIDGE_ADDRESS, '--json'])
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout ?? child, 'data')
  const make = (member: number): Promise<GroveHome> =>
    GroveHome.make(t, { environment, wrapper: network.withMountsAt(member) })
  const [laptop, desktop, phone] = [await make(0), await make(1), await make(2)]
  await laptop.succeed(['init', '--name', NAMES[0]])
  await laptop.mount()
  for (const [at, device] of [desktop, phone].entries()) {
    await device.succeed(['join', await invite(laptop), '--name', NAMES[at + 1] ?? ''])
    await device.mount()
  }
  return [laptop, desktop, phone]
}

async function git(directory: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram('git', ['-C', directory, ...args])
  if (code !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`)
  return stdout
}

/** A repository beside the drive, to be cloned into it. */
async function repository(folder: string): Promise<string> {
  const origin = join(folder, 'origin')
  await mkdir(join(origin, 'src'), { recursive: true })
  for (let at = 0; at < 50; at++) await writeFile(join(origin, 'src', `${at}.txt`), `${at}\n`)
  await git(origin, 'init', '-q')
  await git(origin, 'add', '-A')
  const author = ['-c', 'user.name=t', '-c', 'user.email=t@example.org']
  await git(origin, ...author, 'commit', '-qm', 'all')
  return origin
}

async function equalTrees(devices: Devices): Promise<void> {
  const [first, ...others] = devices
  for (const other of others)
    await until(
      async () => (await runProgram('diff', ['-r', first.mountPoint, other.mountPoint])).code === 0,
      'the trees are equal'
    )
}

async function online(device: GroveHome, count: number): Promise<void> {
  await until(
    async () => (await device.status()).network.online === count,
    `${count} devices are online`
  )
}

t.test('one drive on three computers', { skip: obstacle ?? false }, async t => {
  const network = await NetworkNamespaces.open(NAMES.length)
  // Registered first, so it runs last: the daemons end in their networks.
  t.teardown(() => network.close())
  const devices = await threeDevices(t, network)
  const [laptop, desktop, phone] = devices
  for (const device of devices) await online(device, 2)

  const origin = await repository(laptop.folder)
  await git(laptop.mountPoint, 'clone', '-q', origin, 'project')
  const head = await git(origin, 'rev-parse', 'HEAD')
  for (const device of [desktop, phone]) {
    await device.succeed(['sync', '--wait', '--timeout', '60'])
    const clone = join(device.mountPoint, 'project')
    t.equal(await git(clone, 'rev-parse', 'HEAD'), head)
    t.match(await runProgram('git', ['-C', clone, 'fsck', '--full']), { code: 0 })
    t.equal(await git(clone, 'status', '--porcelain'), '', 'every file is as it was committed')
  }

  await laptop.write('notes', 'first\n')
  await reads(phone, 'notes', 'first\n')
  await network.unplug(2)
  await online(phone, 0)
  await phone.write('notes', 'of the phone\n')
  await phone.write('project/src/new', 'made offline\n')
  await laptop.write('notes', 'of the laptop\n')
  await reads(desktop, 'notes', 'of the laptop\n')
  await desktop.write('project/src/0.txt', 'changed on the other side\n')
  await network.plug(2)

  for (const device of devices)
    await until(async () => (await conflictsOf(device)).count === 1, 'one conflict is listed')
  for (const device of devices) await device.succeed(['sync', '--wait', '--timeout', '60'])
  await equalTrees(devices)
  const [conflict] = (await conflictsOf(phone)).conflicts
  t.match(conflict, { original: { path: '/notes' } })
  const texts = [await desktop.read('notes'), await desktop.read(conflict?.path ?? '')]
  t.strictSame(texts.sort(), ['of the laptop\n', 'of the phone\n'], 'no byte is lost')
  t.equal(await laptop.read('project/src/new'), 'made offline\n')
  t.equal(await phone.read('project/src/0.txt'), 'changed on the other side\n')

  await desktop.kill((await desktop.status()).pid)
  await laptop.write('after', 'while the desktop was away')
  await desktop.mount()
  await reads(desktop, 'after', 'while the desktop was away')
  await equalTrees(devices)
  for (const device of devices) {
    t.match(await device.json(['status']), { network: { quarantined: [] }, damagedEntries: 0 })
    t.equal(await device.succeed(['verify']), 'everything is whole\n')
  }
})
