/**
 * The client of the crash test: writes files of many sizes below a directory, and after each
 * fsync prints a line `{path, size, sha256}`. What is printed must never be lost.
 *
 * usage: crash-writer DIRECTORY SEED
 */
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { SeededRandom } from '../support/seeded-random.ts'

/** The writer ends by itself after so many files, should nobody kill the daemon. */
const FILES_MAX = 20_000
const SIZES = [0, 1, 100, 4096, 4097, 50_000, 131_072, 300_000] as const

const [directory, seed] = process.argv.slice(2)
if (directory === undefined || seed === undefined)
  throw new Error('usage: crash-writer DIRECTORY SEED')
const random = new SeededRandom(Number(seed))
mkdirSync(join(directory, `round-${seed}`), { recursive: true })

/** One file: half of them by the way of editors, which is to write beside it and rename. */
function writeOne(root: string, number: number): void {
  const path = join(`round-${seed}`, `file-${number}`)
  const size = SIZES[random.integer(SIZES.length)] ?? 0
  const bytes = randomBytes(size)
  const isRenamed = random.integer(2) === 0
  const file = join(root, isRenamed ? `${path}.new` : path)
  const fd = openSync(file, 'w')
  for (let at = 0; at < size; at += 10_000) writeSync(fd, bytes, at, Math.min(10_000, size - at))
  fsyncSync(fd)
  closeSync(fd)
  if (isRenamed) {
    renameSync(file, join(root, path))
    const folder = openSync(join(root, `round-${seed}`), 'r')
    fsyncSync(folder)
    closeSync(folder)
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  writeSync(1, `${JSON.stringify({ path, size, sha256 })}\n`)
}

for (let number = 0; number < FILES_MAX; number++) writeOne(directory, number)
