/**
 * Whether the index on the disk is as it was left: a hash of its file, taken at a clean end.
 *
 * Each row of the index is authenticated, but that a row is missing is not: a bit flipped in a
 * key would make a part of a file read as a hole. The index is a cache, so one that was changed
 * behind our back is made anew.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { replaceFile } from './atomic-file.ts'
import type { Home } from './home.ts'

const DATA_FILE = 'data.mdb'

/** The seal of a home's index. */
export class IndexSeal {
  readonly #seal: string
  readonly #data: string

  /** @param home - the caller holds its lock */
  constructor(home: Pick<Home, 'indexDirectory' | 'indexSealFile'>) {
    this.#seal = home.indexSealFile
    this.#data = join(home.indexDirectory, DATA_FILE)
  }

  /**
   * Takes the seal away, because the index is about to change.
   *
   * @returns false when there was one and the index is another; true also when there was none
   */
  async take(): Promise<boolean> {
    const left = await readFile(this.#seal, 'utf8').catch(() => undefined)
    if (left === undefined) return true
    await unlink(this.#seal)
    return (await this.#hash()) === left
  }

  /** Leaves a seal. The index must be closed. */
  async leave(): Promise<void> {
    await replaceFile(this.#seal, Buffer.from(await this.#hash()))
  }

  async #hash(): Promise<string> {
    const hash = createHash('sha256')
    try {
      await pipeline(createReadStream(this.#data, { highWaterMark: 1024 * 1024 }), hash)
    } catch {
      return ''
    }
    return hash.digest('hex')
  }
}
