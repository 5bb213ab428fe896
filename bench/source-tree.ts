/**
 * A source tree to unpack: always the same files, folders, modes and links, made from a formula.
 *
 * Sizes follow the shape of real source trees: most files have a few KiB, a few are much larger.
 *
 * @module
 */
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from './command.ts'

/** The largest file of the tree, in bytes. */
export const TREE_FILE_BYTES_MAX = 256 * 1024

/** The words that its files are written with. */
const WORDS = 'the drive keeps what a log says and a log says what its writer saw'.split(' ')

/** A 32-bit sequence that is always the same (mulberry32). @returns numbers from 0 up to 1 */
function makeSequence(): () => number {
  let state = 2
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * Makes an archive of a source tree.
 *
 * @param options - `base` is a folder to work in; `files` is how many regular files there are
 * @returns the path of the archive
 */
export async function makeSourceTree(options: {
  readonly base: string
  readonly files: number
}): Promise<string> {
  const tree = join(options.base, 'source-tree')
  const archive = join(options.base, 'source-tree.tar')
  const next = makeSequence()
  for (let index = 0; index < options.files; index++) {
    const path = join(tree, pathOf(index, next()))
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, textOf(sizeOf(next(), next()), next))
    if (index % 20 === 0) await chmod(path, 0o755)
    if (index % 100 === 0) await symlink(`file-${index}.ts`, `${path}.link`)
  }
  await run('tar', [
    '--sort=name',
    '--mtime=2026-01-02 03:04:05.678',
    '-cf',
    archive,
    '-C',
    tree,
    '.'
  ])
  await rm(tree, { recursive: true })
  return archive
}

/** Packages of folders, one to three levels deep, about a dozen files in each. */
function pathOf(index: number, depth: number): string {
  const folder = Math.floor(index / 12)
  const parts = [`package-${folder % 17}`, `part-${folder % 5}`, `inner-${folder}`]
  return join(...parts.slice(0, 1 + Math.floor(depth * 3)), `file-${index}.ts`)
}

/** A log-normal size, with a median of 3 KiB and a mean of about 7 KiB. */
function sizeOf(first: number, second: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - first)) * Math.cos(2 * Math.PI * second)
  return Math.min(TREE_FILE_BYTES_MAX, Math.round(3072 * Math.exp(1.3 * normal)))
}

function textOf(sizeBytes: number, next: () => number): string {
  let text = ''
  while (text.length < sizeBytes) {
    const words = Array.from({ length: 12 }, () => WORDS[Math.floor(next() * WORDS.length)])
    text += `${words.join(' ')}\n`
  }
  return text.slice(0, sizeBytes)
}
