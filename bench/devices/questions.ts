/**
 * What is asked of several devices, each question with its goal and its answer as figures.
 *
 * @module
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pause, run } from '../command.ts'
import { median } from '../report.ts'
import { COMMAND, eventually } from './device.ts'
import { Fleet, freePort } from './fleet.ts'
import type { Latency, Marks } from './latency.ts'

/** How much each question does. */
export interface DeviceScale {
  /** Rounds of writing and seeing. */
  readonly rounds: number
  /** Operations of a drive that a new device catches up on. */
  readonly operations: number
  /** Operations of the device that was away. */
  readonly lateOperations: number
  /** Size of the file that is sent, in bytes. */
  readonly fileBytes: number
  /** How long idleness is watched, in seconds. */
  readonly idleSec: number
}

/** The scale of the published figures. */
export const FULL: DeviceScale = {
  rounds: 500,
  operations: 100_000,
  lateOperations: 10_000,
  fileBytes: 2 ** 30,
  idleSec: 60
}
/** Enough to see that the benchmark works. */
export const QUICK: DeviceScale = {
  rounds: 20,
  operations: 2_000,
  lateOperations: 200,
  fileBytes: 2 ** 25,
  idleSec: 5
}

/** One figure of an answer. */
export interface Figure {
  /** What it is. */
  readonly what: string
  /** Its value with its unit. */
  readonly value: string
  /** The goal, in words. */
  readonly goal?: string
  /** Whether the goal is met. */
  readonly met?: boolean
}

/** A question to a fleet of its own. */
export interface DeviceQuestion {
  /** Its name on the command line. */
  readonly id: string
  /** Asks it; `base` is an empty folder. */
  readonly ask: (base: string, scale: DeviceScale) => Promise<readonly Figure[]>
}

/** One-way delay of the slow link, in milliseconds. */
export const SLOW_LINK_MS = 25
/** How long anything may take, in milliseconds. */
export const PATIENCE_MS = 300_000
/** Size of a block of the bare stack, that of Grove's, in bytes. */
const BARE_BLOCK_BYTES = 128 * 1024
/** The client that has no Grove in it. */
const BARE_STACK = 'bare-stack'
/** How many files stand in one directory of the catch-up. */
const FILES_PER_DIRECTORY = 500
/** How many newer versions a file has that somebody edited late. */
const NEWER_VERSIONS = 10
/** How many other programs run while two devices merge: the other device, and who looks on. */
const BUSY_PROGRAMS = 2
/** How long they run for comparison, in milliseconds. */
const BUSY_MS = 4_000

/** All of them, in the order in which they are asked. */
export const DEVICE_QUESTIONS: readonly DeviceQuestion[] = [
  { id: 'propagate', ask: propagate },
  { id: 'propagate-slow', ask: propagateSlow },
  { id: 'idle', ask: idle },
  { id: 'catch-up', ask: catchUp },
  { id: 'late-merge', ask: (base, scale) => lateMerge(base, scale, 'shared') },
  { id: 'late-merge-apart', ask: (base, scale) => lateMerge(base, scale, 'apart') },
  { id: 'late-edits', ask: lateEdits },
  { id: 'transfer', ask: transfer }
]

async function propagate(base: string, { rounds }: DeviceScale): Promise<readonly Figure[]> {
  const fleet = await Fleet.onLoopback(base, ['one', 'two'])
  return withFleet(fleet, () => measurePropagation(fleet, rounds, { median: 10, late: 50 }))
}

async function propagateSlow(base: string, { rounds }: DeviceScale): Promise<readonly Figure[]> {
  const fleet = await Fleet.onSlowLink(base, SLOW_LINK_MS)
  const goal = { median: SLOW_LINK_MS + 15 }
  return withFleet(fleet, () => measurePropagation(fleet, rounds, goal))
}

async function measurePropagation(
  fleet: Fleet,
  rounds: number,
  goal: { readonly median: number; readonly late?: number }
): Promise<readonly Figure[]> {
  await fleet.begin()
  await fleet.join(1, 'all')
  const paths = [0, 1].map(number => join(fleet.device(number).directory, 'note'))
  const output = await client('propagate-client', [...paths, String(rounds)])
  const took = (JSON.parse(output) as number[]).toSorted((left, right) => left - right)
  const late = took[Math.ceil(took.length * 0.99) - 1] ?? Number.NaN
  const middle = median(took)
  return [
    {
      what: `flush to the same bytes elsewhere, median of ${rounds}`,
      value: `${middle.toFixed(1)} ms`,
      goal: `${goal.median} ms`,
      met: middle <= goal.median
    },
    {
      what: 'the same, 99th percentile',
      value: `${late.toFixed(1)} ms`,
      ...(goal.late !== undefined && { goal: `${goal.late} ms`, met: late <= goal.late })
    }
  ]
}

async function idle(base: string, { idleSec }: DeviceScale): Promise<readonly Figure[]> {
  const fleet = await Fleet.onLoopback(base, ['one', 'two', 'three'])
  return withFleet(fleet, async () => {
    await fleet.begin()
    await fleet.join(1, 'all')
    await fleet.join(2, 'all')
    await pause(10_000)
    const before = await Promise.all(fleet.devices.map(device => device.processorSec()))
    await pause(idleSec * 1000)
    const after = await Promise.all(fleet.devices.map(device => device.processorSec()))
    const shares = after.map((sec, at) => (100 * (sec - (before[at] ?? 0))) / idleSec)
    const worst = Math.max(...shares)
    return [
      {
        what: `three devices connected and idle for ${idleSec} s, the busiest`,
        value: `${worst.toFixed(2)} % of a core`,
        goal: '1 %',
        met: worst < 1
      }
    ]
  })
}

async function catchUp(base: string, { operations }: DeviceScale): Promise<readonly Figure[]> {
  const fleet = await Fleet.onLoopback(base, ['one', 'two'])
  return withFleet(fleet, async () => {
    await fleet.begin()
    const count = await makeOperations(join(fleet.device(0).directory, 'tree'), operations)
    await fleet.device(0).grove('sync', '--wait')
    const from = performance.now()
    await fleet.pair(1, 'on-demand')
    const joined = performance.now()
    const tree = join(fleet.device(1).directory, 'tree')
    const last = join(tree, placeOf(count - 1))
    await eventually('the last name is here', PATIENCE_MS, async () => (await sizeOf(last)) > 0)
    const [pairing, catching] = [joined - from, performance.now() - joined]
    if (!(await countsTo(tree, count))) throw new Error('the last name was here before all others')
    return [
      { what: 'join and mount', value: `${(pairing / 1000).toFixed(1)} s` },
      {
        what: `a new device catches up on ${operations} operations, join included`,
        value: `${((pairing + catching) / 1000).toFixed(1)} s`,
        goal: '10 s',
        met: pairing + catching <= 10_000
      }
    ]
  })
}

/**
 * Both devices are on this machine; `apart` the one that was away has only what the merging one
 * leaves of the processors, as if it had a computer of its own; it then sends slower than that would.
 */
async function lateMerge(
  base: string,
  scale: DeviceScale,
  processors: 'shared' | 'apart'
): Promise<readonly Figure[]> {
  const fleet = await Fleet.onLoopback(base, ['one', 'two'])
  return withFleet(fleet, async () => {
    await fleet.begin()
    await fleet.join(1, 'on-demand')
    const [one, two] = [fleet.device(0), fleet.device(1)]
    await one.stop()
    const late = await makeOperations(join(two.directory, 'late'), scale.lateOperations)
    await two.stop()
    await one.mount()
    await makeOperations(join(one.directory, 'newer'), scale.operations)
    const target = join(one.directory, 'late')
    return mergeLate(
      fleet,
      `${scale.lateOperations} late operations under ${scale.operations} newer ones`,
      {
        // They are merged in the order in which they were made.
        first: { path: target, names: 1 },
        last: { path: join(target, placeOf(late - 1)) },
        areAll: () => countsTo(target, late),
        processors
      }
    )
  })
}

/** Each late edit makes a conflict copy of a file of its own. */
async function lateEdits(
  base: string,
  { lateOperations }: DeviceScale
): Promise<readonly Figure[]> {
  const fleet = await Fleet.onLoopback(base, ['one', 'two'])
  return withFleet(fleet, async () => {
    await fleet.begin()
    const [one, two] = [fleet.device(0), fleet.device(1)]
    const [here, there] = [one, two].map(({ directory }) => join(directory, 'tree'))
    await makeFiles(here ?? '', lateOperations)
    await fleet.join(1, 'all')
    await eventually('all names are here', PATIENCE_MS, () => countsTo(there ?? '', lateOperations))
    await two.grove('sync', '--wait')
    await one.stop()
    await appendToFiles(there ?? '', lateOperations)
    await two.stop()
    await one.mount()
    for (let round = 0; round < NEWER_VERSIONS; round++) {
      await appendToFiles(here ?? '', lateOperations)
    }
    const what = `${lateOperations} late edits of files that have ${NEWER_VERSIONS} newer versions each`
    const [first = '', last = ''] = [0, lateOperations - 1].map(file =>
      join(here ?? '', dirname(placeOf(file)))
    )
    const [firstCount, lastCount] = [(await readdir(first)).length, (await readdir(last)).length]
    return mergeLate(fleet, what, {
      first: { path: first, names: firstCount + 1 },
      last: { path: last, names: 2 * lastCount },
      areAll: () => countsTo(here ?? '', 2 * lateOperations),
      processors: 'shared'
    })
  })
}

/** How a merge of late operations is watched. */
interface LateMerge extends Marks {
  /** Whether all are merged: looks at all of them, once the last one is here. */
  readonly areAll: () => Promise<boolean>
  /** Whether the other device takes its share of the processors. */
  readonly processors: 'shared' | 'apart'
}

/** Mounts the second device, which was away, and watches the first merge what it did meanwhile. */
async function mergeLate(
  fleet: Fleet,
  what: string,
  { first, last, areAll, processors }: LateMerge
): Promise<readonly Figure[]> {
  const [one, two] = [fleet.device(0), fleet.device(1)]
  const daemon = String((await one.status())['pid'])
  const control = await longestBesideOthers(one.directory, daemon)
  const watch = start('latency-client', [one.directory, daemon, JSON.stringify({ first, last })])
  try {
    await two.mount()
    // No command is asked whether they are connected: each takes a processor for a third of a second.
    if (processors === 'apart') await two.leaveProcessors()
    watch.child.stdin?.write('begin\n')
  } catch (error) {
    watch.child.kill('SIGKILL')
    throw error
  }
  const latency = latencyOf(await watch.output)
  const { took } = latency
  if (!(await areAll())) throw new Error('the last one was here before all others')
  return [
    { what, value: `${(took / 1000).toFixed(1)} s`, goal: '2 s', met: took <= 2_000 },
    {
      what: 'the longest that a file operation was held up meanwhile',
      value: ms(latency.call),
      goal: '50 ms',
      met: latency.call <= 50
    },
    {
      what: 'the longest without what the program itself waited for a processor',
      value: ms(latency.held)
    },
    {
      what: 'meanwhile the daemon computed, and waited for a processor',
      value: `${ms(latency.computed)}, ${ms(latency.queued)}`
    },
    {
      what: 'the same without a merge, beside two programs that keep the processors busy',
      value: ms(control)
    },
    { what: 'the longest round of five (create to unlink)', value: ms(latency.round) }
  ]
}

/** How long the machine itself holds up a call when two other programs run on it, as in a merge. */
async function longestBesideOthers(directory: string, daemon: string): Promise<number> {
  const others = Array.from({ length: BUSY_PROGRAMS }, () =>
    spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' })
  )
  try {
    return latencyOf(await client('latency-client', [directory, daemon, String(BUSY_MS)])).call
  } finally {
    for (const other of others) other.kill('SIGKILL')
  }
}

/** What a latency client printed. @throws {Error} when it failed */
function latencyOf(output: string): Latency {
  return JSON.parse(output) as Latency
}

async function transfer(base: string, { fileBytes }: DeviceScale): Promise<readonly Figure[]> {
  const bare = await transferBare(base, fileBytes)
  const fleet = await Fleet.onLoopback(base, ['one', 'two'])
  return withFleet(fleet, async () => {
    await fleet.begin()
    await fleet.join(1, 'on-demand')
    const [one, two] = fleet.devices.map(device => join(device.directory, 'large'))
    const mebibytes = String(fileBytes / 2 ** 20)
    const source = ['if=/dev/urandom', 'bs=1M', `count=${mebibytes}`, 'conv=fsync']
    await run('dd', [...source, `of=${one ?? ''}`], { timeoutMs: PATIENCE_MS })
    await eventually(
      'the name is there',
      PATIENCE_MS,
      async () => (await sizeOf(two ?? '')) === fileBytes
    )
    const from = performance.now()
    await fleet.device(1).grove('config', 'content', 'all')
    await fleet.device(1).grove('sync', '--wait')
    const took = (performance.now() - from) / 1000
    await run('cmp', [one ?? '', two ?? ''], { timeoutMs: PATIENCE_MS })
    return [
      { what: `${mebibytes} MiB through the bare stack`, value: rate(fileBytes, bare) },
      {
        what: `${mebibytes} MiB through Grove`,
        value: `${rate(fileBytes, took)}, ${(bare / took).toFixed(2)} x`,
        goal: '0.5 x',
        met: bare / took >= 0.5
      }
    ]
  })
}

/** Sends a file through the stack without Grove. @returns how many seconds it took */
export async function transferBare(base: string, fileBytes: number): Promise<number> {
  const port = String(await freePort())
  const dht = spawn(process.execPath, [
    ...[COMMAND, 'bootstrap', '--host', '127.0.0.1', '--port', port]
  ])
  await once(dht.stdout, 'data')
  const folders = ['bare-sender', 'bare-receiver'].map(name => join(base, name))
  const blocks = String(fileBytes / BARE_BLOCK_BYTES)
  const common = [folders[0] ?? '', port, blocks, String(BARE_BLOCK_BYTES)]
  const sender = start(BARE_STACK, ['send', ...common])
  try {
    const [line] = (await once(sender.child.stdout ?? process.stdin, 'data')) as [Buffer]
    const { key } = JSON.parse(line.toString()) as { key: string }
    return Number(await client(BARE_STACK, ['receive', folders[1] ?? '', port, key]))
  } finally {
    sender.child.stdin?.end()
    dht.kill('SIGTERM')
  }
}

/** Closes the fleet whatever happens. */
export async function withFleet<T>(fleet: Fleet, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } finally {
    await fleet.close()
  }
}

/** Makes files of a few bytes, each a create and a write. @returns how many */
async function makeOperations(directory: string, operations: number): Promise<number> {
  const count = Math.floor(operations / 2)
  await makeFiles(directory, count)
  return count
}

async function makeFiles(directory: string, count: number): Promise<void> {
  await mkdir(directory)
  await forFiles(directory, count, '[ -d "$1/$d" ] || mkdir "$1/$d"; echo $i > "$1/$d/$i"')
}

/** Writes once to each of the files that {@link makeFiles} made. */
async function appendToFiles(directory: string, count: number): Promise<void> {
  await forFiles(directory, count, 'echo more >> "$1/$d/$i"')
}

/** Runs a line of shell for each file `$i` of the directory `$d` in `$1`. */
async function forFiles(directory: string, count: number, line: string): Promise<void> {
  const script = `i=0; while [ $i -lt ${count} ]; do
    d=$((i / ${FILES_PER_DIRECTORY})); ${line}; i=$((i + 1)); done`
  await run('sh', ['-c', script, 'sh', directory], { timeoutMs: PATIENCE_MS })
}

async function countsTo(directory: string, count: number): Promise<boolean> {
  const script = '[ -d "$1" ] && find "$1" -type f | wc -l || echo 0'
  const output = await run('sh', ['-c', script, 'sh', directory], { timeoutMs: PATIENCE_MS })
  return Number(output) === count
}

/** Where {@link makeFiles} puts its file of that number. */
function placeOf(number: number): string {
  return join(String(Math.floor(number / FILES_PER_DIRECTORY)), String(number))
}

/** Size of a file; 0 while it is not there. */
async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}

function ms(duration: number): string {
  return `${duration.toFixed(0)} ms`
}

function rate(bytes: number, sec: number): string {
  return `${(bytes / 2 ** 20 / sec).toFixed(0)} MiB/s`
}

/** Runs a client of this folder to its end. @returns what it printed */
export async function client(name: string, args: readonly string[]): Promise<string> {
  return run(process.execPath, [pathOf(name), ...args], { timeoutMs: PATIENCE_MS })
}

/** Starts a client of this folder. */
function start(
  name: string,
  args: readonly string[]
): { readonly child: ChildProcess; readonly output: Promise<string> } {
  const child = spawn(process.execPath, [pathOf(name), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: PATIENCE_MS
  })
  const output = new Promise<string>((resolve, reject) => {
    let text = ''
    child.stdout?.on('data', chunk => (text += String(chunk)))
    child.once('error', reject)
    child.once('close', () => resolve(text))
  })
  return { child, output }
}

/** Compiled clients are beside this file; the bare stack is not compiled, as it has no types. */
function pathOf(name: string): string {
  const path = name === BARE_STACK ? `../../../bench/devices/${name}.mjs` : `./${name}.js`
  return fileURLToPath(new URL(path, import.meta.url))
}
