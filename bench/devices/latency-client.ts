/**
 * Makes, writes, looks at and removes a file in a mount every millisecond, and prints a
 * {@link Latency}. A thread that waits for a processor is queued; that is the machine's doing and
 * not the daemon's.
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

const NOTHING = { held: 0, computed: 0, queued: 0 }
let worst = NOTHING
let [worstCall, worstRound] = [0, 0]

/**
 * How long the main thread of a process has computed and waited for a processor, in ms (Linux,
 * sched-stats.rst). Not every kernel counts that.
 */
function threadTimes(process: string): readonly [computed: number, queued: number] {
  const file = `/proc/${process}/schedstat`
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  const [computed = 0, queued = 0] = text.split(' ').map(nanoseconds => Number(nanoseconds) / 1e6)
  return [computed, queued]
}

function timed<T>(make: () => T): T {
  const before = [threadTimes(daemon), threadTimes('self')] as const
  const from = performance.now()
  const result = make()
  const call = performance.now() - from
  // A program is queued before it asks and after it was answered, not while it waits for an answer.
  const held = call - (threadTimes('self')[1] - before[1][1])
  worstCall = Math.max(worstCall, call)
  if (held <= worst.held) return result
  const [computed, queued] = threadTimes(daemon)
  worst = { held, computed: computed - before[0][0], queued: queued - before[0][1] }
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
      if (forget) [worst, worstCall, worstRound] = [NOTHING, 0, 0]
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
const latency: Latency = { ...worst, call: worstCall, round: worstRound, merge }
process.stdout.write(JSON.stringify(latency))
