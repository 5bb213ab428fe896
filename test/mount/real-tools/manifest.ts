/**
 * What a tree is, so that two can be compared: a native copy with one in a mounted folder, or
 * a folder with itself before a restart.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** What is recorded of a name. */
export interface ManifestRow {
  /** Type and permission bits, octal. */
  readonly mode: string
  /** Bytes of a file or a link's target; 0 for a directory, whose size means nothing. */
  readonly size: number
  /** SHA-256 of a file's bytes, or a link's target. */
  readonly content: string
  /** Modification time, in nanoseconds. */
  readonly mtime: string
  /** Names of a file; 0 for a directory. */
  readonly links: number
  /** Owner and group. */
  readonly owner: string
  /** Inode number. */
  readonly ino: string
}

/** Every name below a directory, by its path. */
export type Manifest = Readonly<Record<string, ManifestRow>>

/** What may be left out of a comparison. */
export type ManifestField = keyof ManifestRow

/** How many differences an error shows. */
const SHOWN_MAX = 8

/** Reads a whole tree. */
export function manifestOf(directory: string): Manifest {
  const rows: Record<string, ManifestRow> = {}
  const walk = (relative: string): void => {
    for (const name of readdirSync(join(directory, relative)).toSorted()) {
      const path = relative === '' ? name : `${relative}/${name}`
      rows[path] = rowOf(join(directory, path))
      if (rows[path].mode.startsWith('4')) walk(path)
    }
  }
  walk('')
  return rows
}

/** @throws when the two differ in other than the fields that are left out */
export function expectSameManifest(trees: {
  readonly what: string
  readonly actual: Manifest
  readonly expected: Manifest
  readonly without: readonly ManifestField[]
}): void {
  const { what, actual, expected, without } = trees
  const paths = [...new Set([...Object.keys(actual), ...Object.keys(expected)])].toSorted()
  const differences = paths.flatMap(path => {
    const found = shown(actual[path], without)
    const wanted = shown(expected[path], without)
    return found === wanted ? [] : [`${path}\n  found  ${found}\n  wanted ${wanted}`]
  })
  if (differences.length === 0) return
  const first = differences.slice(0, SHOWN_MAX).join('\n')
  assert.fail(`${what}: ${differences.length} of ${paths.length} names differ\n${first}`)
}

function rowOf(path: string): ManifestRow {
  const stat = lstatSync(path, { bigint: true })
  const isDirectory = stat.isDirectory()
  return {
    mode: stat.mode.toString(8),
    size: isDirectory ? 0 : Number(stat.size),
    content: contentOf(path, stat),
    mtime: stat.mtimeNs.toString(),
    links: isDirectory ? 0 : Number(stat.nlink),
    owner: `${stat.uid}:${stat.gid}`,
    ino: stat.ino.toString()
  }
}

function contentOf(path: string, stat: { isFile(): boolean; isSymbolicLink(): boolean }): string {
  if (stat.isSymbolicLink()) return `-> ${readlinkSync(path)}`
  if (!stat.isFile()) return ''
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

function shown(row: ManifestRow | undefined, without: readonly ManifestField[]): string {
  if (!row) return 'nothing'
  const fields = Object.entries(row).filter(([field]) => !without.includes(field as ManifestField))
  return fields.map(([field, value]) => `${field} ${value}`).join(', ')
}
