/**
 * Golden vectors: bytes that a format had when it was fixed, kept as hexadecimal digits in
 * `test/golden/FILE.json`. A vector that no longer fits is a format that changed: the old bytes
 * exist on disks, so the change needs a new version, not a new vector.
 *
 * @module
 */
import { readFileSync } from 'node:fs'

/** Reads one vector. @throws {Error} when the file has none of that name */
export function goldenVector(file: string, name: string): Uint8Array {
  const url = new URL(`../golden/${file}.json`, import.meta.url)
  const vectors: unknown = JSON.parse(readFileSync(url, 'utf8'))
  const digits = (vectors as Readonly<Record<string, unknown>>)[name]
  if (typeof digits !== 'string') throw new Error(`no golden vector ${name} in ${file}.json`)
  return new Uint8Array(Buffer.from(digits, 'hex'))
}
