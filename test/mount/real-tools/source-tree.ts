/**
 * A source tree as the copying tools get it: many small files and some large, modes and times of
 * all kinds, symbolic and hard links, an empty directory, a sparse file, odd names.
 *
 * @module
 */
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import { join } from 'node:path'
import { pattern } from '../../suites/posix/posix-case.ts'

const DIRECTORIES = 12
const FILES_IN_EACH = 15
const SIZES = [0, 1, 100, 4095, 4096, 5000, 40_000]
const MODES = [0o644, 0o755, 0o600, 0o444, 0o2755, 0o666]
const NAMES = ['with space', 'ünïcödé', '-dash', "it's", 'x'.repeat(255)]

/** Makes the tree in an existing, empty directory on a native file system. */
export function makeSourceTree(directory: string): void {
  for (let outer = 0; outer < DIRECTORIES; outer++) {
    const inside = join(directory, `dir-${outer}`, outer % 3 === 0 ? 'deeper' : '.')
    mkdirSync(inside, { recursive: true })
    for (let index = 0; index < FILES_IN_EACH; index++) {
      const size = SIZES[index % SIZES.length] ?? 0
      writeFileSync(join(inside, `file-${index}.txt`), pattern(size, outer * 100 + index + 1))
      chmodSync(join(inside, `file-${index}.txt`), MODES[(outer + index) % MODES.length] ?? 0o644)
    }
    symlinkSync('file-1.txt', join(inside, 'link'))
    linkSync(join(inside, 'file-2.txt'), join(inside, 'hard'))
  }
  for (const name of NAMES) writeFileSync(join(directory, name), name)
  writeFileSync(join(directory, 'large'), pattern(3 * 1024 * 1024 + 11))
  symlinkSync('absent/target', join(directory, 'dangling'))
  mkdirSync(join(directory, 'empty'), { mode: 0o700 })
  const sparse = openSync(join(directory, 'sparse'), 'w')
  writeSync(sparse, 'data', 5 * 1024 * 1024)
  ftruncateSync(sparse, 20 * 1024 * 1024)
  closeSync(sparse)
  setTimes(directory, 0)
}

/** Times all over the years, with nanoseconds; directories last, as their entries change them. */
function setTimes(directory: string, depth: number): number {
  let number = depth
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) number = setTimes(path, number)
    number++
    const time = 1_000_000_000 + number * 86_411.123_457
    if (entry.isSymbolicLink()) lutimesSync(path, time, time)
    else utimesSync(path, statSync(path).atimeMs / 1000, time)
  }
  return number
}
