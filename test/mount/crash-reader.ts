/**
 * Checks what the crash test's writer was promised: reads lines `{path, size, sha256}` from
 * standard input, compares the files below a directory, and prints a line for each that differs.
 *
 * usage: crash-reader DIRECTORY
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const directory = process.argv[2]
if (directory === undefined) throw new Error('usage: crash-reader DIRECTORY')
const lines = readFileSync(0, 'utf8')
  .split('\n')
  .filter(line => line !== '')
for (const line of lines) {
  const { path, sha256 } = JSON.parse(line) as { path: string; sha256: string }
  try {
    const found = createHash('sha256')
      .update(readFileSync(join(directory, path)))
      .digest('hex')
    if (found !== sha256) process.stdout.write(`${path} differs\n`)
  } catch (error) {
    process.stdout.write(`${path}: ${(error as NodeJS.ErrnoException).code}\n`)
  }
}
