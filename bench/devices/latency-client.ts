/**
 * Makes, writes, looks at and removes a file in a mount every millisecond until it is told to stop
 * by a line on its standard input, and prints, in milliseconds, how long the longest call took and
 * how long the longest round of five calls: `{"call": ..., "round": ...}`.
 *
 * Usage: node latency-client.js DIRECTORY
 *
 * @module
 */
import { closeSync, openSync, statSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const [directory = ''] = process.argv.slice(2)
const over = new AbortController()
process.stdin.once('data', () => over.abort())

const worst = { call: 0, round: 0 }

function timed<T>(call: () => T): T {
  const from = performance.now()
  const result = call()
  worst.call = Math.max(worst.call, performance.now() - from)
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
  worst.round = Math.max(worst.round, performance.now() - from)
  await pause(1)
}
process.stdout.write(JSON.stringify(worst))
process.stdin.destroy()
