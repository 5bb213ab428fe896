/**
 * Looks at a file in a mount every millisecond until it is told to stop by a line on its standard
 * input, and prints how long the longest look took, in milliseconds.
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

let worst = 0
for (let round = 0; !over.signal.aborted; round++) {
  const path = join(directory, `look-${round % 2}`)
  const from = performance.now()
  const file = openSync(path, 'w')
  writeSync(file, 'here')
  closeSync(file)
  statSync(path)
  unlinkSync(path)
  worst = Math.max(worst, performance.now() - from)
  await pause(1)
}
process.stdout.write(JSON.stringify(worst))
process.stdin.destroy()
