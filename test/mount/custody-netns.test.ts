/**
 * A drive and four computers that keep copies of it and cannot read them, played by network
 * namespaces: copies reach the level, two holders die, a third one's disk goes bad, the laptop is
 * lost and comes back from its words.
 */
import { existsSync } from 'node:fs'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { DaemonStatus } from '../../bin/api.ts'
import type {
  ExplainAnswer,
  HolderStatus,
  HoldersAnswer,
  RedundancyAnswer
} from '../../bin/custody-api.ts'
import { GroveHome, runProgram } from '../bin/grove-home.ts'
import { BRIDGE_ADDRESS, NetworkNamespaces } from '../support/network-namespaces.ts'

const PORT = 49_737
/** Each is called as it is in `grove holders`. */
const NAMES = ['anna', 'bert', 'cleo', 'dirk'] as const
/** All of the story, on a busy machine. */
const TEST_MS_MAX = 300_000
/** How long copies may take. */
const PATIENCE_MS = 90_000
const LOOK_MS = 250
/** A value of this size is a block of content; records of the log are smaller. */
const BLOCK_BYTES_MIN = 16_384

/** The tree has about 40 blocks: of so many drawn by chance hardly one was never asked for. */
const PROVEN_BLOCKS = 600

/** No holder may know them. */
const SECRET_NAME = 'holiday-in-norway'
const SECRET_TEXT = 'the treasure lies under the third birch'

const obstacle = existsSync('/dev/fuse')
  ? await NetworkNamespaces.obstacle()
  : 'no /dev/fuse, so no mounts here'

t.setTimeout(TEST_MS_MAX)

/** A computer that keeps copies. */
interface Host {
  readonly name: string
  readonly grove: GroveHome
  process: ChildProcess
  readonly code: string
}

/** Waits until something holds; `seen` says what was there instead. */
async function until(
  what: string,
  holds: () => Promise<boolean>,
  seen: () => string = () => ''
): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain until ${what}: ${seen()}`)
    await new Promise(wake => setTimeout(wake, LOOK_MS))
  }
}

async function bootstrap(t: Test, network: NetworkNamespaces): Promise<Record<string, string>> {
  const node = await GroveHome.make(t, { wrapper: network.atBridge })
  const child = node.start(['bootstrap', '--host', BRIDGE_ADDRESS, '--json'])
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout ?? child, 'data')
  return { GROVE_BOOTSTRAP: `${BRIDGE_ADDRESS}:${PORT}`, GROVE_LISTEN: '' }
}

/** Starts a holder, which says its code first. */
async function serve(t: Test, grove: GroveHome, args: readonly string[]) {
  const child = grove.start(['host', '--foreground', '--json', ...args])
  t.teardown(() => child.kill('SIGKILL'))
  let complaints = ''
  child.stderr?.on('data', chunk => (complaints += String(chunk)))
  const said = await Promise.race([
    once(child.stdout ?? child, 'data') as Promise<[Buffer]>,
    once(child, 'close').then(() => Promise.reject(new Error(`grove host ended: ${complaints}`)))
  ])
  child.stdout?.resume()
  const { code } = JSON.parse(String(said[0])) as { readonly code: string }
  return { child, code }
}

async function makeHost(
  t: Test,
  network: NetworkNamespaces,
  options: { readonly at: number; readonly environment: Readonly<Record<string, string>> }
): Promise<Host> {
  const { at, environment } = options
  const name = NAMES[at] ?? ''
  const grove = await GroveHome.make(t, {
    environment: { ...environment, GROVE_MACHINE: `machine of ${name}` },
    wrapper: network.at(at + 1)
  })
  const { child, code } = await serve(t, grove, ['--space', '1GB', '--name', name])
  return { name, grove, process: child, code }
}

async function die(host: Host, signal: NodeJS.Signals): Promise<void> {
  if (host.process.exitCode !== null || host.process.signalCode !== null) return
  host.process.kill(signal)
  await once(host.process, 'close')
}

/** Files of several sizes: inside operations, a part of a block, many blocks. */
async function makeTree(folder: string): Promise<string> {
  const tree = join(folder, SECRET_NAME)
  await mkdir(join(tree, 'raw'), { recursive: true })
  for (let at = 0; at < 8; at++) {
    await writeFile(join(tree, `${SECRET_NAME}-${at}.txt`), `${SECRET_TEXT} ${at}\n`)
    await writeFile(join(tree, `${at}.md`), `${SECRET_TEXT}\n`.repeat(1_000))
    await writeFile(join(tree, 'raw', `${at}.jpg`), randomBytes(300_000))
  }
  return tree
}

async function xattr(path: string, name: string): Promise<string> {
  const program = 'import os, sys; print(os.getxattr(sys.argv[1], sys.argv[2]).decode(), end="")'
  const { code, stdout, stderr } = await runProgram('python3', ['-c', program, path, name])
  if (code !== 0) throw new Error(`cannot read ${name}: ${stderr}`)
  return stdout
}

async function setXattr(path: string, name: string, value: string): Promise<void> {
  const program = 'import os, sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode())'
  const { code, stderr } = await runProgram('python3', ['-c', program, path, name, value])
  if (code !== 0) throw new Error(`cannot set ${name}: ${stderr}`)
}

async function holdersOf(laptop: GroveHome): Promise<ReadonlyMap<string, HolderStatus>> {
  const { holders } = (await laptop.json(['holders'])) as HoldersAnswer
  return new Map(holders.map(each => [each.name, each]))
}

/** All files and directories of a folder that has a level of its own have so many copies. */
async function reachesLevel(laptop: GroveHome, path: string, copies: number): Promise<void> {
  let [found, health] = ['', '']
  await until(
    `${path} has ${copies} copies`,
    async () => {
      found = await xattr(path, 'user.grove.copies')
      health = await xattr(path, 'user.grove.health')
      return Number(found) >= copies && health === 'ok'
    },
    () => `${found}, ${health}`
  )
  const answer = (await laptop.json(['redundancy', path])) as RedundancyAnswer
  if (answer.verifiedCopies < copies || answer.health !== 'ok')
    throw new Error(`the command says otherwise: ${JSON.stringify(answer)}`)
}

/**
 * Changes a few bytes in the middle of every large value of a folder's RocksDB blob files, which
 * are the blocks of content. After a header of 30 bytes come records: length of the key, of the
 * value, an expiration (8 bytes each), two checksums (4 bytes each), the key and the value.
 */
async function corruptBlocks(directory: string): Promise<number> {
  let count = 0
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.blob')) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = await readFile(path)
    const file = await open(path, 'r+')
    for (let at = 30; at + 32 <= bytes.length;) {
      const [key, value] = [
        Number(bytes.readBigUInt64LE(at)),
        Number(bytes.readBigUInt64LE(at + 8))
      ]
      at += 32 + key
      if (value > BLOCK_BYTES_MIN && at + value <= bytes.length) {
        await file.write(randomBytes(64), 0, 64, at + Math.floor(value / 2))
        count++
      }
      at += value
    }
    await file.close()
  }
  return count
}

/** A holder was asked for every block several times since it last failed. */
async function provesAll(laptop: GroveHome, name: string): Promise<void> {
  let sinceFailure: HolderStatus['audits'] | undefined
  let now: HolderStatus['audits'] | undefined
  await until(
    `${name} proves all`,
    async () => {
      now = (await holdersOf(laptop)).get(name)?.audits
      if (now === undefined) return false
      if (sinceFailure === undefined || now.failed > sinceFailure.failed) sinceFailure = now
      return now.blocks > sinceFailure.blocks + PROVEN_BLOCKS
    },
    () => JSON.stringify({ sinceFailure, now })
  )
}

async function grep(pattern: string, directory: string): Promise<string> {
  const { code, stdout } = await runProgram('grep', ['-rlaF', '--', pattern, directory])
  return code === 1 ? '' : `${code} ${stdout}`
}

t.test('copies on computers that cannot read them', { skip: obstacle ?? false }, async t => {
  const network = await NetworkNamespaces.open(NAMES.length + 1)
  // Registered first, so it runs last: the processes end in their networks.
  t.teardown(() => network.close())
  const environment = await bootstrap(t, network)
  const laptop = await GroveHome.make(t, {
    environment: { ...environment, GROVE_MACHINE: 'machine of the owner' },
    wrapper: network.withMountsAt(0)
  })
  const { words } = (await laptop.json(['init', '--name', 'laptop'])) as { readonly words: string }
  await laptop.succeed(['config', 'custody.grace', '2s'])
  await laptop.succeed(['config', 'custody.audit', '100000'])
  await laptop.mount()
  const hosts: Host[] = []
  for (const at of NAMES.keys()) hosts.push(await makeHost(t, network, { at, environment }))
  for (const { code, name } of hosts)
    t.match(await laptop.json(['holders', 'add', code, '--site', `${name}'s`]), {
      name,
      kind: 'holder',
      site: `${name}'s`
    })
  const tree = await makeTree(laptop.folder)
  const photos = join(laptop.mountPoint, SECRET_NAME)

  await t.test('a level is set, and reached', async () => {
    await mkdir(photos)
    await setXattr(photos, 'user.grove.redundancy', '3')
    t.match(await runProgram('cp', ['-r', tree, laptop.mountPoint]), { code: 0 })
    await reachesLevel(laptop, photos, 3)
    t.equal(await xattr(join(photos, 'raw', '0.jpg'), 'user.grove.copies'), '3')
  })

  const explained = (await laptop.json(['explain', join(photos, 'raw', '0.jpg')])) as ExplainAnswer
  const keepers = explained.computers.filter(each => each.kind === 'holder' && each.blocks > 0)
  const doomed = hosts
    .filter(({ name }) => keepers.some(keeper => keeper.name === name))
    .slice(0, 2)
  const others = hosts.filter(host => !doomed.includes(host))

  await t.test('two holders die: that shows, and others take their place unasked', async t => {
    t.equal(doomed.length, 2)
    // Else it is over before anybody looks.
    await laptop.succeed(['config', 'custody.bandwidth', '1MB'])
    for (const host of doomed) await die(host, 'SIGKILL')
    let status: DaemonStatus | undefined
    await until('it shows', async () => {
      status = await laptop.status()
      const { atRisk, repairing } = status.survival ?? {}
      return (atRisk?.files ?? 0) + (repairing?.files ?? 0) > 0
    })
    t.match(await laptop.succeed(['status']), /at risk|copying/)
    await laptop.succeed(['config', 'custody.bandwidth', '0'])
    await reachesLevel(laptop, photos, 3)
    const holders = await holdersOf(laptop)
    for (const { name } of doomed) t.equal(holders.get(name)?.online, false, name)
    for (const { name } of others) t.ok((holders.get(name)?.keptBytes ?? 0) > 2_000_000, name)
  })

  const [bad, ...healthy] = others
  if (bad === undefined) throw new Error('nobody is left')

  const whole = t
  await t.test('a disk goes bad behind its back: that is found, and repair mends it', async t => {
    const failures = async () => (await holdersOf(laptop)).get(bad.name)?.audits.failed ?? 0
    const before = await failures()
    await laptop.succeed(['config', 'custody.bandwidth', '400kB'])
    // It is away for a moment only and that shall not show; the dead have been away for longer.
    await laptop.succeed(['config', 'custody.grace', '10s'])
    await until('the dead do not count', async () => {
      const holders = await holdersOf(laptop)
      return doomed.every(({ name }) => holders.get(name)?.state === 'suspect')
    })
    await reachesLevel(laptop, photos, 3)
    await die(bad, 'SIGTERM')
    t.ok((await corruptBlocks(bad.grove.directory)) > 20, 'there were blocks to corrupt')
    bad.process = (await serve(whole, bad.grove, [])).child
    await until(
      'it is online',
      async () => (await holdersOf(laptop)).get(bad.name)?.online === true
    )
    // Or the holder reads its own disk before it is asked, and says so.
    await until(
      'it is found',
      async () => (await failures()) > before || (await xattr(photos, 'user.grove.health')) !== 'ok'
    )
    await laptop.succeed(['config', 'custody.bandwidth', '0'])
    await provesAll(laptop, bad.name)
    await reachesLevel(laptop, photos, 3)
  })

  await t.test('the laptop is lost, and its words bring everything back', async t => {
    await laptop.succeed(['stop'])
    await rm(laptop.directory, { recursive: true })
    // Only what was mended on the bad disk is left.
    for (const host of healthy) await die(host, 'SIGTERM')
    const flags = ['--name', 'laptop', '--wait', '10', '--lost', '--accept-incomplete']
    const said = await laptop.json(['recover', ...flags], `${words}\n`)
    t.match(said, { missingEntries: 0 })
    await laptop.succeed(['config', 'custody.grace', '2s'])
    await laptop.mount()
    t.match(await runProgram('diff', ['-r', tree, photos]), { code: 0, stdout: '' })
    t.equal(await xattr(photos, 'user.grove.redundancy'), '3')
    await laptop.succeed(['sync', '--wait', '--timeout', '60'])
    t.equal((await laptop.status()).network.missingBytes, 0)
    for (const host of healthy) host.process = (await serve(whole, host.grove, [])).child
    await reachesLevel(laptop, photos, 3)
    for (const host of others) await die(host, 'SIGTERM')
    t.match(await runProgram('diff', ['-r', tree, photos]), { code: 0, stdout: '' })
    t.equal(await laptop.succeed(['verify']), 'everything is whole\n', 'and all of it is here')
  })

  await t.test('no holder can read a name or a text', async t => {
    t.not(await grep(SECRET_TEXT, tree), '', 'there is something to find')
    for (const { name, grove } of hosts)
      for (const secret of [SECRET_NAME, SECRET_TEXT, basename(photos), 'laptop'])
        t.equal(await grep(secret, grove.directory), '', `${name}: ${secret}`)
  })
})
