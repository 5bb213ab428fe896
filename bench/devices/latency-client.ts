/**
 * Makes, writes, looks at and removes a file in a mount every millisecond until it is told to stop
 * by a line on its standard input, and prints, in milliseconds, how long the longest call took, what
 * the main thread of the daemon did meanwhile, and how long the longest round of five calls took:
 * `{"call": ..., "computed": ..., "queued": ..., "round": ...}`. A thread that waits for a processor
 * is queued; that is the machine's doing and not the daemon's.
 *
 * Usage: node latency-client.js DIRECTORY DAEMON-PID
 *
 * @module
 */
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const [directory = '', daemon = ''] = process.argv.slice(2)
const over = new AbortController()
process.stdin.once('data', () => over.abort())

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

for (let round = 0; !over.signal.aborted; round++) {
  const path = join(directory, `look-${round % 2}`)
  const from = performance.now()
  const file = timed(() => openSync(path, 'w'))
  timed(() => writeSync(file, 'here'))
  timed(() => closeSync(file))
  timed(() => statSync(path))
  timed(() => unlinkSync(path))
  worstRound = Math.max(worstRound, performance.now() - from)
  await pause(1)
}
process.stdout.write(JSON.stringify({ ...worst, round: worstRound }))
process.stdin.destroy()
