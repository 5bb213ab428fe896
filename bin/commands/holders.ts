/**
 * `grove holders`: the computers that keep copies of the drive; `add` and `remove` change which.
 *
 * @module
 */
import { ApiClient } from '../api-client.ts'
import { checkHolderText } from '../api-request.ts'
import { askYesOrNo } from '../ask-yes-or-no.ts'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import {
  HOLDER_KEY_DIGITS_MIN,
  RELEASE_DAYS,
  type ComputerKind,
  type HolderAddRequest,
  type HolderStatus
} from '../custody-api.ts'
import {
  describeReleased,
  describeRemoved,
  describeTrim,
  type RemovedHolder
} from '../describe-releases.ts'
import { GroveError } from '../grove-error.ts'
import { Home } from '../home.ts'
import { printableText } from '../printable-name.ts'
import { ProgressBar } from '../progress-bar.ts'
import { readableSize } from '../readable-size.ts'
import { readableTime } from '../readable-time.ts'
import { readableWork } from '../readable-work.ts'
import { textTable } from '../text-table.ts'

/** What each computer is, for people. */
export const KIND_WORDS: Readonly<Record<ComputerKind, string>> = {
  this: 'this computer',
  device: 'your device',
  holder: 'holder'
}

const HEADER = ['NAME', 'KEY', 'WHAT', 'STATE', 'SITE', 'KEPT', 'PROVEN', 'AUDITS', 'BALANCE']

const addSubcommand: Command = {
  name: 'add',
  summary: 'have a computer keep copies that it cannot read',
  positional: [['<code>', 'what `grove host` shows there']],
  options: [
    { flags: '--site <name>', summary: 'where it is; computers of one site may be lost together' },
    { flags: '--machine <name>', summary: 'which machine it is on, if it shares one' },
    { flags: '--person <name>', summary: 'whose it is; copies go to different people first' }
  ],
  examples: [
    ['grove holders add CODE', 'it must be on; copies are made by themselves from then on'],
    ['grove holders add CODE --site attic --person Anna', 'and so that copies are spread well']
  ],
  run: add
}

const removeSubcommand: Command = {
  name: 'remove',
  summary: 'do without a computer, once copies have been made elsewhere',
  positional: [
    ['<holder>', `its name, or at least ${HOLDER_KEY_DIGITS_MIN} digits of its key, as listed`]
  ],
  options: [
    { flags: '--force', summary: 'although files would have too few copies then' },
    { flags: '--cancel', summary: 'go on with one that was removed: what it still has stays' }
  ],
  examples: [
    ['grove holders remove anna', 'make copies elsewhere, do without it, free its disk in 7 days'],
    ['grove holders remove anna --cancel', 'within these 7 days: it keeps what it has'],
    ['grove holders remove 3f2a9c01 --force', 'it is broken and will not come back']
  ],
  run: remove
}

const trimSubcommand: Command = {
  name: 'trim',
  summary: 'free holders of copies that are more than wished',
  positional: [],
  options: [{ flags: '--cancel', summary: 'take back what was ordered and has not gone' }],
  examples: [
    ['grove holders trim', 'after a level was lowered; copies go in 7 days, never below the wish'],
    ['grove holders trim --cancel', 'within these 7 days: they stay'],
    ['grove holders trim --json', 'for programs: {"holders": [{"toldBytes"}], "waiting": [...]}']
  ],
  run: trim
}

/** See the module. */
export const holdersCommand: Command = {
  name: 'holders',
  summary: 'list the computers that keep copies: how much, when proven',
  positional: [],
  options: [],
  subcommands: [addSubcommand, removeSubcommand, trimSubcommand],
  examples: [
    ['grove holders', 'for people'],
    ['grove holders --json', 'for programs: {"holders": [{"name", "key", "state", ...}]}'],
    ['grove holders add CODE', 'have a computer that runs `grove host` keep copies'],
    ['grove holders remove anna', 'do without it'],
    ['grove holders trim', 'free holders of copies that are more than wished']
  ],
  run: list
}

async function list(context: Context): Promise<undefined> {
  const answer = await (await findDaemon(context)).holders()
  await writeResult(context, { json: answer, text: describe(answer.holders) })
}

async function add(context: Context, input: Input): Promise<undefined> {
  const request = readAddition(input)
  const daemon = await findDaemon(context)
  const { readHolderCode } = await import('../read-holder-code.ts')
  readHolderCode(request.code, Date.now())
  const holder = await daemon.addHolder(request)
  const room = holder.quotaBytes === undefined ? '' : ` up to ${readableSize(holder.quotaBytes)}`
  await writeResult(context, {
    json: holder,
    text: [
      `${printableText(holder.name)} keeps copies${room} from now on, and can read none of them.`,
      'See how far it is: grove holders'
    ]
  })
}

function readAddition(input: Input): HolderAddRequest {
  const [code = ''] = input.positional
  const named = (['site', 'machine', 'person'] as const).filter(name => input.options.has(name))
  const texts = named.map(name => [name, checkHolderText(input.options.get(name), name)] as const)
  return { code, ...Object.fromEntries(texts) }
}

async function remove(context: Context, input: Input): Promise<undefined> {
  const [holder = ''] = input.positional
  const force = input.options.has('force')
  if (input.options.has('cancel')) return keep(context, holder, force)
  const daemon = await findDaemon(context)
  if (!(await askYesOrNo(context, question(holder, force))))
    throw new GroveError('FAILED', 'nothing was changed')
  const bar = new ProgressBar(context.stderr, 'Copying elsewhere')
  let end: RemovedHolder | undefined
  try {
    for await (const line of daemon.removeHolder({ holder, force }))
      if (line.kind === 'end') end = line
      else bar.update(line)
  } finally {
    bar.end()
  }
  context.signal.throwIfAborted()
  if (end === undefined) throw new GroveError('NO_ANSWER', 'the daemon said nothing')
  const { removed, toldBytes, awayBytes, problem } = end
  const json = { removed, toldBytes, awayBytes, ...(problem !== undefined && { problem }) }
  await writeResult(context, { json, text: describeRemoved(end) })
}

async function keep(context: Context, holder: string, force: boolean): Promise<undefined> {
  if (force) throw new GroveError('USAGE', '--force removes and --cancel does not; give one')
  const status = await (await findDaemon(context)).keepHolder({ holder })
  await writeResult(context, {
    json: status,
    text: [`${printableText(status.name)} keeps copies again; what it still has counts and stays.`]
  })
}

async function trim(context: Context, input: Input): Promise<undefined> {
  const cancel = input.options.has('cancel')
  const answer = await (await findDaemon(context)).trimHolders({ cancel })
  await writeResult(context, { json: answer, text: describeTrim(answer, cancel) })
}

function question(holder: string, force: boolean): string {
  const name = printableText(holder)
  const first = force
    ? `What only ${name} keeps may be lost: it is removed although there may be too few copies.`
    : `What ${name} keeps is copied to other computers first; interrupt that and it stays.`
  return `${first}\nWhat is on its disk stays there, unreadable, for ${RELEASE_DAYS} days; until then it can be taken back.\nRemove ${name}?`
}

async function findDaemon(context: Context): Promise<ApiClient> {
  const home = await Home.locate(context.environment)
  await home.check()
  return ApiClient.require(home, context.signal)
}

function describe(holders: readonly HolderStatus[]): readonly string[] {
  const problems = holders.filter(({ problem }) => problem !== undefined)
  const isAlone = holders.every(({ kind }) => kind === 'this')
  return [
    ...textTable([HEADER, ...holders.map(row)]),
    ...holders.flatMap(describeReleased),
    ...problems.map(
      ({ name, problem = '' }) => `${printableText(name)}: ${printableText(problem)}`
    ),
    ...(isAlone ? ['nothing else keeps copies; run `grove host` elsewhere'] : [])
  ]
}

function row(holder: HolderStatus): readonly string[] {
  const { audits, lastProofMs, kind } = holder
  const isThis = kind === 'this'
  return [
    printableText(holder.name),
    holder.key.slice(0, HOLDER_KEY_DIGITS_MIN),
    KIND_WORDS[kind],
    isThis ? '-' : state(holder),
    holder.site === undefined ? '-' : printableText(holder.site),
    kept(holder),
    isThis ? '-' : lastProofMs === undefined ? 'not yet' : readableTime(lastProofMs),
    isThis ? '-' : `${Math.round(audits.blocks)} blocks, ${Math.round(audits.failed)} failed`,
    balance(holder)
  ]
}

function state({ online, state: standing, lastSeenMs }: HolderStatus): string {
  if (standing === 'failed') return online ? 'failed, online' : 'failed, offline'
  if (standing === 'gone') return 'gone'
  if (standing === 'leaving') return online ? 'removed, online' : 'removed, offline'
  if (online) return 'online'
  const counted = standing === 'suspect' ? ', not counted' : ''
  return lastSeenMs === undefined
    ? `offline${counted}`
    : `offline since ${readableTime(lastSeenMs)}${counted}`
}

function kept({ keptBytes, quotaBytes }: HolderStatus): string {
  const size = readableSize(keptBytes)
  return quotaBytes === undefined ? size : `${size} of ${readableSize(quotaBytes)}`
}

/** What both computers signed; the way back is known only of persons with a name. */
function balance({ keptGibDays, givenGibDays }: HolderStatus): string {
  const ways = [
    ...(keptGibDays === undefined ? [] : [`kept ${readableWork(keptGibDays)} for you`]),
    ...(givenGibDays === undefined ? [] : [`you ${readableWork(givenGibDays)}`])
  ]
  return ways.length === 0 ? '-' : ways.join(', ')
}
