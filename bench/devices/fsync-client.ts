/**
 * Writes files in a mount, each with an fsync, and prints how long every fsync took, in
 * milliseconds, as a JSON array.
 *
 * Usage: node fsync-client.js DIRECTORY COUNT BYTES
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** How long it waits between two files, so that one does not stand behind another, in milliseconds. */
const PAUSE_MS = 50

const [directory = '', count = '', bytes = ''] = process.argv.slice(2)
const took: number[] = []
for (let round = 0; round < Number(count); round++) {
  const file = openSync(join(directory, `note-${round}`), 'w')
  writeSync(file, randomBytes(Number(bytes)))
  const from = performance.now()
  fsyncSync(file)
  took.push(performance.now() - from)
  closeSync(file)
  await pause(PAUSE_MS)
}
process.stdout.write(JSON.stringify(took))
