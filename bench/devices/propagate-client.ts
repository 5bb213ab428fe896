/**
 * The client of the propagation benchmark, a process of its own: writes a file in one mount and
 * looks for the same bytes in another, again and again.
 *
 * Usage: node propagate-client.js PATH-TO-WRITE PATH-TO-READ ROUNDS
 *
 * Prints the milliseconds from each close to the first read that gave the same bytes.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, openSync, readSync, writeSync } from 'node:fs'
import { SMALL_FILE_BYTES } from '../client-request.ts'

/** How long a round may take, in milliseconds. */
const ROUND_MS_MAX = 10_000
/** How long to wait between two looks, in milliseconds. */
const LOOK_MS = 0.2

const [written = '', read = '', rounds = ''] = process.argv.slice(2)
const sleeper = new Int32Array(new SharedArrayBuffer(4))
const seen = Buffer.alloc(SMALL_FILE_BYTES)

/** Waits until `look` says yes. @returns the milliseconds since `from` */
function waitFor(look: () => boolean, from: number): number {
  while (!look()) {
    if (performance.now() - from > ROUND_MS_MAX) throw new Error('the bytes did not arrive')
    Atomics.wait(sleeper, 0, 0, LOOK_MS)
  }
  return performance.now() - from
}

function write(content: Buffer): number {
  const file = openSync(written, existsSync(written) ? 'r+' : 'w')
  writeSync(file, content, 0, content.length, 0)
  const from = performance.now()
  closeSync(file)
  return from
}

const first = write(randomBytes(SMALL_FILE_BYTES))
waitFor(() => existsSync(read), first)
const file = openSync(read, 'r')
const took: number[] = []
for (let round = 0; round < Number(rounds); round++) {
  const content = randomBytes(SMALL_FILE_BYTES)
  const look = (): boolean => readSync(file, seen, 0, seen.length, 0) > 0 && seen.equals(content)
  took.push(waitFor(look, write(content)))
}
closeSync(file)
process.stdout.write(JSON.stringify(took))
