/**
 * `grove recover`: has a drive back with nothing but its 24 words.
 *
 * @module
 */
import { hostname } from 'node:os'
import type { AskedHolder } from '../../src/replication/ask-holders.ts'
import { askYesOrNo } from '../ask-yes-or-no.ts'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import { GroveError } from '../grove-error.ts'
import { Home } from '../home.ts'
import { LineReader } from '../line-reader.ts'
import { readNetworkOptions } from '../network-environment.ts'
import { ProgressBar } from '../progress-bar.ts'
import { readWords } from '../read-words.ts'
import { readableTime } from '../readable-time.ts'
import type {
  RecoverStep,
  RecoveredDrive,
  RecoveryDecision,
  RecoveryOffer
} from '../recover-drive.ts'
import type { OtherDevices } from '../recovered-device.ts'
import { acceptRecovery, readRecoveryState } from '../recovery-state.ts'
import { wantedPassphrase } from '../wanted-passphrase.ts'

/** How many bytes of an answer are read. */
const ANSWER_BYTES_MAX = 64

/** How long holders may be waited for, in seconds. */
export const WAIT_SEC_MAX = 3_600

const LABELS: Readonly<Record<RecoverStep, string>> = {
  asking: 'Asking the holders',
  fetching: 'Fetching the history',
  reading: 'Putting the tree together'
}

/** See the module. */
export const recoverCommand: Command = {
  name: 'recover',
  summary: 'have a drive back with nothing but its 24 words',
  positional: [],
  options: [
    { flags: '--name <device>', summary: 'what to call this computer (default: its host name)' },
    { flags: '--passphrase', summary: 'seal the keys on this disk with a passphrase' },
    { flags: '--wait <seconds>', summary: 'how long to wait for the holders (default: 30)' },
    { flags: '--accept-incomplete', summary: 'go on when some holders do not answer' },
    { flags: '--lost', summary: 'the other devices are lost: they are members no more' },
    { flags: '--stolen', summary: 'somebody has one of them: the keys are changed too' }
  ],
  examples: [
    ['grove recover', 'type the words; they are not shown'],
    ['grove recover < words.txt', 'take them from a file'],
    ['grove recover --stolen', 'put out all other devices and change the keys'],
    ['grove recover --accept-incomplete', 'later: wait for the missing holders no longer']
  ],
  run
}

async function run(context: Context, input: Input): Promise<undefined> {
  const { checkDeviceName, defaultDeviceName } = await import('../new-drive.ts')
  const asked = input.options.get('name')
  const deviceName = checkDeviceName(
    typeof asked === 'string' ? asked : defaultDeviceName(hostname())
  )
  const network = readNetworkOptions(context.environment)
  const home = await Home.locate(context.environment)
  if (await acceptedLater(context, input, home)) return
  await home.checkUnused()
  const [others, deadlineMs] = [othersOf(input), deadlineOf(input)]
  const { Identity } = await import('../../src/crypto/identity.ts')
  const identity = await Identity.fromWords(
    await readWords({ keyboard: context.stdin, show: text => context.stderr.write(text) })
  )
  const bars = new Bars(context)
  let passphrase: Uint8Array | undefined
  try {
    passphrase = await wantedPassphrase(context, input)
    const { recoverDrive } = await import('../recover-drive.ts')
    const recovered = await recoverDrive({
      ...{ home, identity, deviceName, passphrase, network, signal: context.signal },
      ...(deadlineMs !== undefined && { deadlineMs }),
      decide: offer => {
        bars.end()
        return decide(context, input, { offer, others })
      },
      onProgress: (step, progress) => bars.of(step).update(progress)
    })
    bars.end()
    await show(context, home, recovered)
  } finally {
    bars.end()
    identity.clear()
    passphrase?.fill(0)
  }
}

/** In a home that was recovered: the holders that are missing are waited for no longer. */
async function acceptedLater(context: Context, input: Input, home: Home): Promise<boolean> {
  if (!input.options.has('accept-incomplete')) return false
  if ((await readRecoveryState(home)) === undefined) return false
  await home.check()
  const count = await acceptRecovery(home)
  await writeResult(context, {
    json: { accepted: count },
    text: [
      count === 0 ? 'Nothing was waited for.' : `${countOf(count, 'holder')} waited for no longer.`
    ]
  })
  return true
}

function othersOf(input: Input): OtherDevices | undefined {
  const isStolen = input.options.has('stolen')
  if (isStolen && input.options.has('lost'))
    throw new GroveError('USAGE', 'choose one of --lost and --stolen')
  if (isStolen) return 'stolen'
  return input.options.has('lost') ? 'lost' : undefined
}

function deadlineOf(input: Input): number | undefined {
  const text = input.options.get('wait')
  if (typeof text !== 'string') return undefined
  const seconds = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (seconds >= 1 && seconds <= WAIT_SEC_MAX) return seconds * 1_000
  throw new GroveError('USAGE', `--wait takes seconds, from 1 to ${WAIT_SEC_MAX}`)
}

async function decide(
  context: Context,
  input: Input,
  found: { readonly offer: RecoveryOffer; readonly others: OtherDevices | undefined }
): Promise<RecoveryDecision> {
  const { offer } = found
  for (const line of offerLines(offer)) context.stderr.write(`${line}\n`)
  const reader = readerOf(context)
  const isWhole = offer.isComplete && !offer.isStale
  if (!isWhole && !input.options.has('accept-incomplete')) {
    if (reader === undefined)
      throw new GroveError(
        'FAILED',
        `${offerLines(offer)[0]}; try again when the others are on, or add --accept-incomplete`
      )
    if (!(await askYesOrNo(context, 'Go on without what they may have?'))) return undefined
  }
  if (found.others !== undefined) return { others: found.others }
  if (offer.devices.length === 0 || reader === undefined) return { others: 'kept' }
  return { others: await askOthers(reader, offer) }
}

async function askOthers(reader: LineReader, { devices }: RecoveryOffer): Promise<OtherDevices> {
  const names = devices.map(({ name }) => name).join(', ')
  for (;;) {
    const answer = await reader.readShown(
      `Other devices of the drive: ${names}. Type "lost" or "stolen" to put them all out, or press Enter to keep them: `
    )
    const word = answer.trim().toLowerCase()
    if (word === '') return 'kept'
    if (word === 'lost' || word === 'stolen') return word
  }
}

/** Nobody is asked who cannot answer, or whose answers are read by a program. */
function readerOf({ stdin, stderr, json }: Context): LineReader | undefined {
  if (json || stdin.isTTY !== true) return undefined
  return new LineReader({
    keyboard: stdin,
    show: text => stderr.write(text),
    lineBytesMax: ANSWER_BYTES_MAX,
    cancelled: () => new GroveError('FAILED', 'nothing was recovered or changed')
  })
}

function offerLines(offer: RecoveryOffer): readonly [string, ...string[]] {
  const answered = offer.holders.filter(({ answer }) => answer === 'answered')
  return [
    `${answered.length} of ${countOf(offer.holders.length, 'holder')} answered, the newest state is of ${readableTime(offer.newestMs)}`,
    ...offer.holders.filter(({ answer }) => answer !== 'answered').map(holderLine),
    ...(offer.isStale ? ['There was a newer state than any that the holders handed over.'] : [])
  ]
}

const ANSWERS: Readonly<Record<AskedHolder['answer'], string>> = {
  answered: 'answered',
  silent: 'does not answer',
  refused: 'does not let this person in',
  lied: 'answered with what is not genuine'
}

function holderLine({ name, network, answer }: AskedHolder): string {
  return `  ${name ?? network.slice(0, 8)} ${ANSWERS[answer]}`
}

async function show(context: Context, home: Home, recovered: RecoveredDrive): Promise<void> {
  const { content, offer, revoked, logs } = recovered
  const answered = offer.holders.filter(({ answer }) => answer === 'answered').length
  const { missingEntries, changed } = logs
  await writeResult(context, {
    json: {
      drive: Buffer.from(content.drive).toString('hex'),
      home: home.directory,
      holders: offer.holders.map(({ network, name, answer }) => ({ network, name, answer })),
      answered,
      newest: new Date(offer.newestMs).toISOString(),
      complete: offer.isComplete && !offer.isStale && missingEntries === 0,
      missingEntries,
      changedLogs: changed.length,
      revoked: revoked.map(({ name }) => name)
    },
    text: [
      'The drive is back. Its content comes as it is read, and in the background. Next: grove mount',
      ...(missingEntries > 0
        ? [
            `${missingEntries} entries of its history are missing; they come when a holder brings them.`
          ]
        : []),
      ...(changed.length > 0
        ? [`${countOf(changed.length, 'log')} has another history than was expected.`]
        : []),
      ...(offer.isComplete
        ? []
        : ['Until the other holders have answered, no copy of anything is given up.']),
      ...(revoked.length > 0
        ? [
            `Put out: ${revoked.map(({ name }) => name).join(', ')}. What they have already they can still read.`
          ]
        : [])
    ]
  })
}

function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/** A bar for each step. */
class Bars {
  readonly #context: Context
  #step: RecoverStep | undefined
  #bar: ProgressBar | undefined

  constructor(context: Context) {
    this.#context = context
  }

  of(step: RecoverStep): ProgressBar {
    if (this.#bar !== undefined && this.#step === step) return this.#bar
    this.end()
    this.#step = step
    this.#bar = new ProgressBar(this.#context.stderr, LABELS[step])
    return this.#bar
  }

  end(): void {
    this.#bar?.end()
    this.#bar = undefined
  }
}
