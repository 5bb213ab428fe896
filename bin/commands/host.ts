/**
 * `grove host`: keeps copies for others, as ciphertext, without a drive of its own.
 *
 * @module
 */
import { resolve } from 'node:path'
import { checkHolderText } from '../api-request.ts'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import { GroveError } from '../grove-error.ts'
import {
  CODE_HOURS,
  CODE_HOURS_MAX,
  PERSON_DIGITS_MIN,
  checkHours,
  type HeldPerson,
  type HolderCodeAnswer,
  type HolderProcessStatus
} from '../holder-api.ts'
import { HolderClient } from '../holder-client.ts'
import { HolderHome } from '../holder-home.ts'
import {
  parseImbalance,
  parseLabel,
  readHolderSettings,
  type HolderSettingsChange
} from '../holder-settings.ts'
import { readNetworkOptions } from '../network-environment.ts'
import { parseSize } from '../parse-size.ts'
import { readableSize } from '../readable-size.ts'
import { readableWork } from '../readable-work.ts'
import { waitUntilGone } from '../wait-until-gone.ts'

/** How much of a key is shown to people, in characters. */
const KEY_CHARACTERS = 16

const statusCommand: Command = {
  name: 'status',
  summary: 'say how the holder is: space, persons, connections',
  positional: [],
  options: [],
  examples: [
    ['grove host status', 'for people'],
    ['grove host status --json', 'for programs: {"running", "usedBytes", "persons", ...}']
  ],
  run: showStatus
}

const inviteCommand: Command = {
  name: 'invite',
  summary: 'show another code; each admits one person',
  positional: [],
  options: [
    { flags: '--space <size>', summary: 'how much to keep for that person (default: all of it)' },
    { flags: '--person <name>', summary: 'who it is for, as you call them in grove holders add' },
    { flags: '--hours <n>', summary: `how long the code works (default: ${CODE_HOURS}, a week)` }
  ],
  examples: [
    ['grove host invite --space 10GB --person Anna', 'for a friend'],
    ['grove host invite --json', 'for programs: {"code", "expiresMs", "spaceBytes"}']
  ],
  run: invite
}

const personCommand: Command = {
  name: 'person',
  summary: 'give somebody it keeps for a name, to see balances both ways and to bound them',
  positional: [
    [
      '<id>',
      `the person's key, or at least ${PERSON_DIGITS_MIN} digits of it, as grove host status shows`
    ],
    ['<name>', 'as you call them in grove holders add --person; empty for none']
  ],
  options: [],
  examples: [
    ['grove host person 3f2a9c01 Anna', 'what Anna keeps for you counts for what you keep for her'],
    ["grove host person 3f2a9c01 ''", 'forget the name']
  ],
  run: namePerson
}

const stopCommand: Command = {
  name: 'stop',
  summary: 'make everything safe and end the holder',
  positional: [],
  options: [],
  examples: [['grove host stop', 'what it keeps stays; run grove host to go on']],
  run: stop
}

/** See the module. */
export const hostCommand: Command = {
  name: 'host',
  summary: 'keep copies for others on this computer, without being able to read them',
  positional: [],
  options: [
    { flags: '--space <size>', summary: 'how much to keep in all; needed the first time' },
    { flags: '--site <name>', summary: 'where this computer stands, as in home or office' },
    { flags: '--label <key=value>', summary: 'a note about it; may be repeated', repeats: true },
    { flags: '--name <name>', summary: "what to call it (default: this computer's name)" },
    {
      flags: '--imbalance <gib-days>',
      summary:
        'how far others may be behind, less as it fills; generous (default), none, or a number'
    },
    { flags: '--drive <home>', summary: 'the home of your own drive here, if not the usual one' },
    { flags: '--foreground', summary: 'stay here until interrupted instead of in the background' },
    { flags: '--launched', summary: 'started by `grove host`', hidden: true }
  ],
  subcommands: [statusCommand, inviteCommand, personCommand, stopCommand],
  examples: [
    ['grove host --space 50GB', 'keep up to 50 GB; prints a code for grove holders add'],
    ['grove host --space 50GB --site attic --foreground', 'watch it work; Ctrl-C ends it'],
    ['grove host --space 50GB --json', 'for programs: {"code", "expiresMs", "spaceBytes"}'],
    [
      'grove host --imbalance 5000',
      'who is 5000 GiB days behind gets nothing new; half of it when half full'
    ],
    ['GROVE_HOME=/mnt/disk/host grove host --space 2TB', 'keep it on another disk']
  ],
  run
}

async function run(context: Context, input: Input): Promise<number | undefined> {
  const change = readChange(input)
  const home = await HolderHome.locate(context.environment)
  // Before anything is started: a process in the background would have nobody to tell.
  readNetworkOptions(context.environment)
  const exists = await home.exists()
  const known = exists ? await readHolderSettings(home.settingsFile) : undefined
  if (known === undefined && change.spaceBytes === undefined)
    throw new GroveError('USAGE', 'say how much to keep for others, as in --space 50GB')
  const ready = (code: HolderCodeAnswer): Promise<void> => showCode(context, code)
  if (input.options.has('launched') || input.options.has('foreground')) {
    // Only a process that serves loads what serves.
    const { serveHolderHere, serveHolderLaunched } = await import('../serve-holder.ts')
    const serve = input.options.has('launched') ? serveHolderLaunched : serveHolderHere
    return serve(context, { home, change, onReady: ready })
  }
  const running = exists ? await HolderClient.find(home, context.signal) : undefined
  await ready(await (running?.change(change) ?? launch(context, home, change)))
  return undefined
}

async function launch(
  { environment, signal }: Context,
  home: HolderHome,
  change: HolderSettingsChange
): Promise<HolderCodeAnswer> {
  await home.prepare()
  const { launchHolder } = await import('../launch-holder.ts')
  return launchHolder({ home, change, environment, signal })
}

function readChange({ options }: Input): HolderSettingsChange {
  const text = (name: string): string | undefined => {
    const value = options.get(name)
    return typeof value === 'string' ? value : undefined
  }
  const [space, site, name, labels] = ['space', 'site', 'name', 'label'].map(text)
  const [imbalance, drive] = ['imbalance', 'drive'].map(text)
  return {
    ...(space !== undefined && { spaceBytes: parseSize(space) }),
    ...(site !== undefined && { site }),
    ...(name !== undefined && { name }),
    ...(imbalance !== undefined && { imbalance: parseImbalance(imbalance) }),
    ...(drive !== undefined && { drive: drive === '' ? '' : resolve(drive) }),
    ...(labels !== undefined && { labels: Object.fromEntries(labels.split('\n').map(parseLabel)) })
  }
}

async function showCode(context: Context, answer: HolderCodeAnswer): Promise<void> {
  const { code, expiresMs, spaceBytes } = answer
  await writeResult(context, {
    json: answer,
    text: [
      `This computer keeps up to ${readableSize(spaceBytes)} for whoever has this code, as ciphertext.`,
      'On a computer of theirs, run:',
      '',
      `  grove holders add ${code}`,
      '',
      `The code admits one person and works until ${dateOf(expiresMs)}; another: grove host invite`
    ]
  })
}

async function invite(context: Context, input: Input): Promise<undefined> {
  const space = input.options.get('space')
  const person = input.options.get('person')
  const request = {
    hours: readHours(input.options.get('hours')),
    ...(typeof space === 'string' && { spaceBytes: parseSize(space) }),
    ...(typeof person === 'string' && { person: checkHolderText(person, 'person') })
  }
  const holder = await HolderClient.require(await locate(context), context.signal)
  await showCode(context, await holder.invite(request))
}

async function namePerson(context: Context, input: Input): Promise<undefined> {
  const [id = '', name = ''] = input.positional
  if (name !== '') checkHolderText(name, 'person')
  const holder = await HolderClient.require(await locate(context), context.signal)
  const person = await holder.namePerson({ id: id.toLowerCase(), name })
  await writeResult(context, { json: person, text: [describePerson(person)] })
}

function readHours(asked: string | true | undefined): number {
  if (asked === undefined) return CODE_HOURS
  if (typeof asked === 'string' && /^\d{1,9}$/.test(asked)) return checkHours(Number(asked))
  throw new GroveError('USAGE', `--hours takes a whole number from 1 to ${CODE_HOURS_MAX}`)
}

async function showStatus(context: Context): Promise<undefined> {
  const home = await locate(context)
  const holder = await HolderClient.find(home, context.signal)
  if (holder !== undefined) {
    const status = await holder.status()
    await writeResult(context, { json: status, text: describe(status) })
    return
  }
  const settings = await readHolderSettings(home.settingsFile)
  await writeResult(context, {
    json: { running: false, home: home.directory, ...settings },
    text: ['not running; start it with: grove host', `home     ${home.directory}`]
  })
}

function describe(status: HolderProcessStatus): readonly string[] {
  const { persons, labels } = status
  const notes = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  return [
    `running  process ${status.pid}`,
    `holder   ${status.name} (${status.id})`,
    ...(status.site === '' ? [] : [`site     ${status.site}`]),
    ...(notes.length === 0 ? [] : [`labels   ${notes.join(', ')}`]),
    `home     ${status.home}, ${readableSize(status.diskBytes)}`,
    `space    ${readableSize(status.usedBytes)} of ${readableSize(status.spaceBytes)}`,
    `online   ${status.connections} devices`,
    ...(persons.length === 0 ? ['persons  none yet; show somebody a code: grove host invite'] : []),
    ...persons.map(describePerson),
    `bound    ${describeBound(status)}`,
    ...(status.refused === 0 ? [] : [`refused  ${status.refused} connections`]),
    ...(status.problem === undefined ? [] : [`problem  ${status.problem}`])
  ]
}

function describePerson(person: HeldPerson): string {
  const { id, name, usedBytes, quotaBytes, keptGibDays, returnedGibDays, isBehind } = person
  const who = `${id.slice(0, KEY_CHARACTERS)}${name === undefined ? '' : ` ${name}`}`
  const returned =
    returnedGibDays === undefined
      ? 'nothing known in return'
      : `they ${readableWork(returnedGibDays)} for you`
  const back = name === undefined ? '' : `, ${returned}`
  const behind = isBehind ? '; too far behind, gets nothing new' : ''
  const sizes = `${readableSize(usedBytes)} of ${readableSize(quotaBytes)}`
  return `person   ${who} ${sizes}; kept ${readableWork(keptGibDays)}${back}${behind}`
}

function describeBound({ imbalance, boundGibDays }: HolderProcessStatus): string {
  if (boundGibDays === undefined) return 'none: whoever has a code may be behind by any amount'
  const whom = imbalance === 'generous' ? 'those with a name' : 'all but you'
  return `${readableWork(boundGibDays)} with the space that is free now, for ${whom}`
}

async function stop(context: Context): Promise<undefined> {
  const holder = await HolderClient.find(await locate(context), context.signal)
  if (holder === undefined) {
    await writeResult(context, { json: { stopped: false }, text: ['no holder was running'] })
    return
  }
  const { pid } = await holder.status()
  await holder.stop()
  await waitUntilGone(pid)
  await writeResult(context, { json: { stopped: true, pid }, text: [`stopped process ${pid}`] })
}

/** The home, in which there must be a holder. */
async function locate(context: Context): Promise<HolderHome> {
  const home = await HolderHome.locate(context.environment)
  if (await home.exists()) return home
  throw new GroveError(
    'NOT_INITIALISED',
    `there is no holder in ${home.directory}; run \`grove host --space 50GB\` first, or set GROVE_HOME to its home`
  )
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
