/**
 * Makes, writes, looks at and removes a file in a mount, round after round with a millisecond
 * between, and prints a {@link Latency}.
 *
 * It is told by two marks in the mount how far a merge has come: it looks for the first and then for
 * the last one, and these looks are calls that count like the others. What counts begins when it is
 * told so by a line on its standard input, or with the last look that did not find the first mark,
 * whichever is earlier, and ends with the last mark. Without marks it runs for so many milliseconds.
 *
 * Usage: node latency-client.js DIRECTORY DAEMON-PID '{"first": MARK, "last": MARK}' | MILLISECONDS
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
import type { Latency, Mark, Marks } from './latency.ts'

/** It looks for a mark so often, in milliseconds: looking is work for the daemon as well. */
const LOOK_MS = 20

const [directory = '', daemon = '', until = ''] = process.argv.slice(2)

const NOTHING = { held: 0, computed: 0, queued: 0 }
let worst = NOTHING
let [worstCall, worstRound] = [0, 0]
let isBegun = false

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

/**
 * A program is queued before it asks and after it was answered, not while it waits for an answer:
 * what it was queued is no part of what held it up. Both are measured within `call`.
 */
function timed<T>(make: () => T): T {
  const daemonBefore = threadTimes(daemon)
  const from = performance.now()
  const queuedBefore = threadTimes('self')[1]
  const result = make()
  const queuedAfter = threadTimes('self')[1]
  const call = performance.now() - from
  const held = call - (queuedAfter - queuedBefore)
  worstCall = Math.max(worstCall, call)
  if (held <= worst.held) return result
  const [computed, queued] = threadTimes(daemon)
  worst = { held, computed: computed - daemonBefore[0], queued: queued - daemonBefore[1] }
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

/** Makes rounds until a mark is there. @returns when it was last looked for in vain */
async function roundsUntil({ path, names }: Mark, onAbsent: () => void): Promise<number> {
  for (let number = 0, lookedMs = Number.NaN; ; number++) {
    if (!(performance.now() - lookedMs < LOOK_MS)) {
      const nowMs = performance.now()
      const isThere = timed(() => (names === undefined ? sizeOf(path) > 0 : namesIn(path) >= names))
      if (isThere && Number.isNaN(lookedMs))
        throw new Error('the mark was there from the beginning')
      if (isThere) return lookedMs
      lookedMs = nowMs
      onAbsent()
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

function forget(): void {
  if (!isBegun) [worst, worstCall, worstRound] = [NOTHING, 0, 0]
}

async function watchMerge({ first, last }: Marks): Promise<number> {
  process.stdin.once('data', () => (isBegun = true)).unref()
  const from = await roundsUntil(first, forget)
  isBegun = true
  await roundsUntil(last, forget)
  return performance.now() - from
}

async function watchFor(durationMs: number): Promise<number> {
  const end = performance.now() + durationMs
  for (let number = 0; performance.now() < end; number++) await makeRound(number)
  return durationMs
}

const took = until.startsWith('{')
  ? await watchMerge(JSON.parse(until) as Marks)
  : await watchFor(Number(until))
const latency: Latency = { ...worst, call: worstCall, round: worstRound, took }
process.stdout.write(JSON.stringify(latency))
process.stdin.destroy()
