/**
 * The file in which a home remembers its last run; see `log-epoch.ts` for what it decides.
 *
 * @module
 */
import { open, readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { logKey } from '../sync/log.ts'
import type { HomeIdentity, RunMark } from './log-epoch.ts'
import { syncDirectory } from './wal-sync.ts'

/** The file's name in the home. */
export const MARK_FILE = 'last-run.json'

/** The format's version. */
const VERSION = 1

/** The mark of one home. Every change of it is atomic and durable. */
export class CleanMark {
  readonly #directory: string
  readonly #bootId: string

  private constructor(directory: string, bootId: string) {
    this.#directory = directory
    this.#bootId = bootId
  }

  /**
   * Reads the mark that the last run left. It stays until {@link CleanMark.begin}, so that a
   * start that fails early changes nothing.
   *
   * @param directory - the home's
   * @param bootId - of the machine's present boot
   * @returns the mark's keeper, and the mark; undefined when there is none that can be read
   */
  static async take(
    directory: string,
    bootId: string
  ): Promise<{ readonly keeper: CleanMark; readonly mark: RunMark | undefined }> {
    const mark = await readMark(join(directory, MARK_FILE))
    return { keeper: new CleanMark(directory, bootId), mark }
  }

  /**
   * Says that a run has begun: until {@link CleanMark.leave} the home is not clean. To be
   * called before the first append.
   */
  async begin(lengths: RunMark['lengths']): Promise<void> {
    await this.#write(false, lengths)
  }

  /** Says that the run ended cleanly; to be called when every log is synced and closed. */
  async leave(lengths: RunMark['lengths']): Promise<void> {
    await this.#write(true, lengths)
  }

  async #write(clean: boolean, lengths: RunMark['lengths']): Promise<void> {
    const home = await homeIdentity(this.#directory)
    const mark = { version: VERSION, clean, bootId: this.#bootId, home, lengths: [...lengths] }
    const path = join(this.#directory, MARK_FILE)
    const file = await open(`${path}.new`, 'w', 0o600)
    try {
      await file.writeFile(JSON.stringify(mark))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(`${path}.new`, path)
    await syncDirectory(this.#directory)
  }
}

/** Where a home is. */
export async function homeIdentity(directory: string): Promise<HomeIdentity> {
  const { dev, ino, birthtimeNs } = await stat(directory, { bigint: true })
  return { device: String(dev), inode: String(ino), born: String(birthtimeNs) }
}

/** What cannot be read is no mark: the caller then takes the safe way. */
async function readMark(path: string): Promise<RunMark | undefined> {
  try {
    return parseMark(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    return undefined
  }
}

function parseMark(value: unknown): RunMark {
  const { version, clean, bootId, home, lengths } = asRecord(value)
  if (version !== VERSION) throw new TypeError('not a mark of this version')
  if (!Array.isArray(lengths)) throw new TypeError('not a list of lengths')
  const { device, inode, born } = asRecord(home)
  return {
    clean: clean === true,
    bootId: asText(bootId),
    home: { device: asText(device), inode: asText(inode), born: asText(born) },
    lengths: new Map(lengths.map(parseLength))
  }
}

function parseLength(value: unknown): [ReturnType<typeof logKey>, number] {
  if (!Array.isArray(value) || !Number.isSafeInteger(value[1])) throw new TypeError('not a length')
  return [logKey(asText(value[0])), Number(value[1])]
}

function asRecord(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new TypeError('not an object')
  return { ...value }
}

function asText(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('not a string')
  return value
}
