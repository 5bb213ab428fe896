/**
 * Makes, writes, looks at and removes a file in a mount every millisecond, and prints, in
 * milliseconds, how long the longest call took, what the main thread of the daemon did meanwhile,
 * how long the longest round of five calls took, and how long the merge took that it watched:
 * `{"call": ..., "computed": ..., "queued": ..., "round": ..., "merge": ...}`. A thread that waits
 * for a processor is queued; that is the machine's doing and not the daemon's.
 *
 * It is told by two sights of the mount when a merge begins and when it is over. What counts are
 * the calls from the last look that did not show the first sight to the look that shows the second.
 * Without sights it runs for so many milliseconds.
 *
 * Usage: node latency-client.js DIRECTORY DAEMON-PID '{"first": SIGHT, "last": SIGHT}' | MILLISECONDS
 *
 * @module
 */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Latency, Sight, Sights } from './latency.ts'

/** It looks for a sight so often, in milliseconds: looking is work for the daemon as well. */
const LOOK_MS = 20

const [directory = '', daemon = '', until = ''] = process.argv.slice(2)

const threadTimesFile = `/proc/${daemon}/task/${daemon}/schedstat`
/** Not every kernel counts them. */
const hasThreadTimes = existsSync(threadTimesFile)
let worst = { call: 0, computed: 0, queued: 0 }
let worstRound = 0

/** How long a thread has computed and waited for a processor (Linux, sched-stats.rst), in ms. */
function threadTimes(): readonly [computed: number, queued: number] {
  const text = hasThreadTimes ? readFileSync(threadTimesFile, 'utf8') : ''
  const [computed = 0, queued = 0] = text.split(' ').map(nanoseconds => Number(nanoseconds) / 1e6)
  return [computed, queued]
}

function timed<T>(make: () => T): T {
  const before = threadTimes()
  const from = performance.now()
  const result = make()
  const call = performance.now() - from
  if (call <= worst.call) return result
  const after = threadTimes()
  worst = { call, computed: after[0] - before[0], queued: after[1] - before[1] }
  return result
}

async function makeRound(number: number): Promise<void> {
  const path = join(directory, `look-${number % 2}`)
  const from = performance.now()
  const file = timed(() => openSync(path, 'w'))
  timed(() => writeSync(file, 'here'))
  timed(() => closeSync(file))
  timed(() => statSync(path))
  timed(() => unlinkSync(path))
  worstRound = Math.max(worstRound, performance.now() - from)
  await pause(1)
}

/** Makes rounds until a sight shows; the calls since the last look are those that count. */
async function roundsUntil({ path, names }: Sight, forget: boolean): Promise<void> {
  for (let number = 0, lookedMs = -LOOK_MS; ; number++) {
    if (performance.now() - lookedMs >= LOOK_MS) {
      lookedMs = performance.now()
      const isThere = names === undefined ? sizeOf(path) > 0 : namesIn(path) >= names
      if (isThere) return
      if (forget) [worst, worstRound] = [{ call: 0, computed: 0, queued: 0 }, 0]
    }
    await makeRound(number)
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

function namesIn(path: string): number {
  return existsSync(path) ? readdirSync(path).length : 0
}

async function watchMerge({ first, last }: Sights): Promise<number> {
  await roundsUntil(first, true)
  const from = performance.now()
  await roundsUntil(last, false)
  return performance.now() - from
}

async function watchFor(durationMs: number): Promise<number> {
  const end = performance.now() + durationMs
  for (let number = 0; performance.now() < end; number++) await makeRound(number)
  return durationMs
}

const merge = until.startsWith('{')
  ? await watchMerge(JSON.parse(until) as Sights)
  : await watchFor(Number(until))
const latency: Latency = { ...worst, round: worstRound, merge }
process.stdout.write(JSON.stringify(latency))
