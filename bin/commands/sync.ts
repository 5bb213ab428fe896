/**
 * `grove sync`: what is known of and not here yet; `--wait` until it is.
 *
 * @module
 */
import type { SyncStatus } from '../api.ts'
import { ApiClient } from '../api-client.ts'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import { GroveError } from '../grove-error.ts'
import { Home } from '../home.ts'
import { ProgressBar } from '../progress-bar.ts'
import { readableSize } from '../readable-size.ts'

/** See the module. */
export const syncCommand: Command = {
  name: 'sync',
  summary: 'save what was written, and say what of the other devices is not here yet',
  positional: [],
  options: [
    {
      flags: '--wait',
      summary:
        'until all operations and all content known of are here; fails where some are not taken'
    },
    { flags: '--timeout <seconds>', summary: 'with --wait: fail after so long' }
  ],
  examples: [
    ['grove sync', 'see what is missing'],
    ['grove sync --wait', 'before the train leaves: have everything here'],
    ['grove sync --wait --timeout 60', 'but wait for a minute at most']
  ],
  run
}

async function run(context: Context, input: Input): Promise<undefined> {
  const deadlineMs = performance.now() + readTimeoutMs(input.options.get('timeout'))
  const wait = input.options.has('wait')
  const home = await Home.locate(context.environment)
  await home.check()
  const daemon = await ApiClient.require(home, context.signal)
  const bar = new SyncBar(context)
  const stall = new Stall()
  let last: SyncStatus | undefined
  try {
    for await (const { kind, status } of daemon.catchUp({ wait })) {
      last = status
      bar.update(status)
      if (kind === 'progress' && stall.update(status)) {
        bar.end()
        context.stderr.write(`waiting on: ${describe(status)}; Ctrl-C gives up\n`)
      }
      if (kind === 'progress' && performance.now() > deadlineMs)
        throw new GroveError('UNREACHABLE', `the time is up: ${describe(status)}`)
    }
  } finally {
    bar.end()
  }
  context.signal.throwIfAborted()
  if (last === undefined) throw new GroveError('NO_ANSWER', 'the daemon said nothing')
  // Whoever waited is not to believe that now everything is here.
  if (wait && last.quarantinedEntries > 0) throw new GroveError('FAILED', describe(last))
  await writeResult(context, { json: last, text: [describe(last)] })
}

/** How long nothing comes before somebody who waits is told why, in milliseconds. */
export const STALL_MS = 5_000

/** Notices that something is missing and nothing comes. */
export class Stall {
  readonly #nowMs: () => number
  #last: Pick<SyncStatus, 'missingEntries' | 'missingBytes'> = {
    missingEntries: Infinity,
    missingBytes: Infinity
  }
  #sinceMs = 0
  #isTold = false

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** @returns whether it is to be told now; once until something comes */
  update(status: SyncStatus): boolean {
    const { missingEntries, missingBytes } = status
    const last = this.#last
    if (missingEntries < last.missingEntries || missingBytes < last.missingBytes) {
      this.#sinceMs = this.#nowMs()
      this.#isTold = false
    }
    this.#last = status
    const isMissing = missingEntries > 0 || missingBytes > 0
    const isNews = isMissing && !this.#isTold && this.#nowMs() - this.#sinceMs >= STALL_MS
    if (isNews) this.#isTold = true
    return isNews
  }
}

/** Two bars, one after another: operations first, since only they tell what content there is. */
class SyncBar {
  readonly #entries: ProgressBar
  readonly #bytes: ProgressBar
  #entriesMax = 0
  #bytesMax = 0

  constructor({ stderr }: Context) {
    this.#entries = new ProgressBar(stderr, 'Merging')
    this.#bytes = new ProgressBar(stderr, 'Fetching')
  }

  update({ missingEntries, missingBytes }: SyncStatus): void {
    this.#entriesMax = Math.max(this.#entriesMax, missingEntries)
    this.#bytesMax = Math.max(this.#bytesMax, missingBytes)
    if (missingEntries > 0)
      this.#entries.update({ done: this.#entriesMax - missingEntries, total: this.#entriesMax })
    else if (missingBytes > 0)
      this.#bytes.update({ done: this.#bytesMax - missingBytes, total: this.#bytesMax })
  }

  end(): void {
    this.#entries.end()
    this.#bytes.end()
  }
}

function describe(status: SyncStatus): string {
  const { missingEntries, missingBytes } = status
  const missing = `${missingEntries} entries and ${readableSize(missingBytes)} of content are missing`
  const isHere = missingEntries === 0 && missingBytes === 0
  return [isHere ? 'everything known of is here' : missing, ...remarks(status)].join('; ')
}

/** Why something does not come. */
function* remarks(status: SyncStatus): Iterable<string> {
  const { missingEntries, unreachableEntries, waitingEntries, online, devices } = status
  const all = unreachableEntries === missingEntries
  if (devices > 0 && online === 0) yield 'no other device is online'
  else if (unreachableEntries > 0)
    yield `no device that is online has ${all ? 'the' : `${unreachableEntries} of the`} entries`
  if (missingEntries > 0 && waitingEntries > 0)
    yield `${waitingEntries} entries are here and wait for others`
  if (status.quarantinedEntries > 0)
    yield `${status.quarantinedEntries} entries are not taken, \`grove status\` says why`
  if (status.problem !== undefined) yield status.problem
}

function readTimeoutMs(asked: string | true | undefined): number {
  if (asked === undefined) return Number.POSITIVE_INFINITY
  if (typeof asked === 'string' && /^\d{1,9}$/.test(asked)) return Number(asked) * 1_000
  throw new GroveError('USAGE', '--timeout takes a whole number of seconds')
}
