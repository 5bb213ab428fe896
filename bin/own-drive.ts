/**
 * A holder and the drive of its owner, on one computer and of one user: now and then the holder
 * says what it keeps for whom, as both signed it, and hears what others keep for its owner. So
 * both ways of a balance are seen at both ends. Who is meant is a matter of names: whom the owner
 * calls the same in the drive (`grove holders add --person`) and at the holder
 * (`grove host invite --person`) is the same person.
 *
 * What was heard is kept in the home, for times in which the drive is not open.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import type { Timer, Clock } from '../src/sync/clock.ts'
import { replaceFile } from './atomic-file.ts'
import type { OwnDriveAnswer, OwnHolderRequest } from './custody-api.ts'

/** How often both are told, in milliseconds. */
export const OWN_DRIVE_INTERVAL_MS = 15_000

/** What it works with; all borrowed. */
export interface OwnDriveParts {
  /** Where it is remembered what was heard. */
  readonly file: string
  /** Tells the drive, if it is open, and hears from it. */
  readonly tell: (
    request: OwnHolderRequest,
    signal: AbortSignal
  ) => Promise<OwnDriveAnswer | undefined>
  /** What the holder keeps for whom. */
  readonly kept: () => OwnHolderRequest
  /** Time. */
  readonly clock: Clock
  /** Told what went wrong, for the log. */
  readonly report: (message: string, cause?: unknown) => void
}

/** See the module. */
export class OwnDrive {
  readonly #parts: OwnDriveParts
  readonly #abort = new AbortController()
  readonly #returned = new Map<string, number>()
  #owner = ''
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #isFailing = false

  private constructor(parts: OwnDriveParts) {
    this.#parts = parts
  }

  /** Reads what was heard before; a file that makes no sense is as good as none. */
  static async open(parts: OwnDriveParts): Promise<OwnDrive> {
    const drive = new OwnDrive(parts)
    try {
      drive.#take(JSON.parse(await readFile(parts.file, 'utf8')) as OwnDriveAnswer)
    } catch {
      // It is heard again.
    }
    return drive
  }

  /** The owner's key, hexadecimal; empty when no drive was ever open. */
  get owner(): string {
    return this.#owner
  }

  /** How much a person kept for the owner, in MiB times seconds; undefined when not known. */
  returnedBy(name: string): number | undefined {
    return this.#returned.get(name)
  }

  /** Begins to tell. */
  start(): void {
    if (this.#abort.signal.aborted) return
    this.#running = this.#exchange()
      .then(
        () => {
          this.#isFailing = false
        },
        (error: unknown) => this.#failed(error)
      )
      .finally(() => {
        if (this.#abort.signal.aborted) return
        this.#timer = this.#parts.clock.after(OWN_DRIVE_INTERVAL_MS, () => this.start())
      })
  }

  /** Stops and waits for what is under way. */
  async close(): Promise<void> {
    this.#abort.abort()
    this.#timer?.cancel()
    await this.#running
  }

  /** Said once, not in every turn until it works again. */
  #failed(error: unknown): void {
    if (!this.#isFailing && !this.#abort.signal.aborted)
      this.#parts.report('the own drive was not told', error)
    this.#isFailing = true
  }

  async #exchange(): Promise<void> {
    const { tell, kept, file } = this.#parts
    const before = this.#state()
    const answer = await tell(kept(), this.#abort.signal)
    if (answer === undefined) return
    this.#take(answer)
    if (this.#state() !== before) await replaceFile(file, Buffer.from(`${this.#state()}\n`))
  }

  /** What was kept never falls: a drive that was just opened may not have met everybody yet. */
  #take({ identity, returned }: OwnDriveAnswer): void {
    if (identity !== this.#owner) this.#returned.clear()
    this.#owner = identity
    for (const { person, mibSeconds } of returned)
      this.#returned.set(person, Math.max(mibSeconds, this.#returned.get(person) ?? 0))
  }

  #state(): string {
    const rows = [...this.#returned].map(([person, mibSeconds]) => ({ person, mibSeconds }))
    const answer: OwnDriveAnswer = { identity: this.#owner, returned: rows }
    return JSON.stringify(answer)
  }
}
