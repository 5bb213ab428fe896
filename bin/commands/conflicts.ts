/**
 * `grove conflicts`: versions of a file that two devices wrote apart; `resolve` ends one.
 *
 * @module
 */
import { join } from 'node:path'
import { KEEP_CHOICES, type ConflictsAnswer, type Keep } from '../api.ts'
import { ApiClient } from '../api-client.ts'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import { GroveError } from '../grove-error.ts'
import { Home } from '../home.ts'
import { printableName, type JsonName } from '../printable-name.ts'
import { resolveOutsideMounts } from '../resolve-outside-mounts.ts'

const resolveSubcommand: Command = {
  name: 'resolve',
  summary: 'say which version of a file in conflict keeps its name',
  positional: [['<path>', 'the conflict copy, or the file it is of, in the mounted folder']],
  options: [
    {
      flags: '--keep <which>',
      summary: 'mine: the version of this device; theirs: the other one; both: each under a name',
      choices: KEEP_CHOICES
    }
  ],
  examples: [
    ['grove conflicts resolve ~/Grove/notes.txt --keep mine', 'this computer wrote the right one'],
    ['grove conflicts resolve ~/Grove/notes.txt --keep both', 'make the copy an ordinary file']
  ],
  run: resolve
}

/** See the module. */
export const conflictsCommand: Command = {
  name: 'conflicts',
  summary: 'list files that two devices changed apart',
  positional: [],
  options: [],
  subcommands: [resolveSubcommand],
  examples: [
    ['grove conflicts', 'list the conflict copies'],
    ['grove conflicts --json', 'for programs: {"count", "conflicts": [{"path", "original", ...}]}'],
    ['grove conflicts resolve ~/Grove/notes.txt --keep theirs', 'end a conflict']
  ],
  run: list
}

async function list(context: Context): Promise<undefined> {
  const answer = await (await findDaemon(context)).conflicts()
  await writeResult(context, { json: answer, text: describe(answer) })
}

function describe({ directory, count, conflicts }: ConflictsAnswer): readonly string[] {
  if (count === 0) return ['no conflicts']
  const lines = conflicts.map(each => {
    const path = printable(each, directory)
    return `${path}: of ${printable(each.original, directory)}, by ${each.device}`
  })
  const more = count - conflicts.length
  return more > 0 ? [...lines, `and ${more} more`] : lines
}

async function resolve(context: Context, input: Input): Promise<undefined> {
  const [asked = ''] = input.positional
  const keep = readKeep(input.options.get('keep'))
  const daemon = await findDaemon(context)
  const { path } = await resolveOutsideMounts(asked)
  const answer = await daemon.resolve({ path, keep })
  await writeResult(context, {
    json: answer,
    text: answer.kept.map(each => `kept ${printable(each, undefined)}`)
  })
}

function readKeep(asked: string | true | undefined): Keep {
  const keep = KEEP_CHOICES.find(choice => choice === asked)
  if (keep !== undefined) return keep
  throw new GroveError('USAGE', `say what to keep: --keep ${KEEP_CHOICES.join('|')}`)
}

async function findDaemon(context: Context): Promise<ApiClient> {
  const home = await Home.locate(context.environment)
  await home.check()
  return ApiClient.require(home, context.signal)
}

function printable({ path, pathHex }: JsonName, directory: string | undefined): string {
  const inside = pathHex === undefined ? Buffer.from(path) : Buffer.from(pathHex, 'hex')
  const bytes = inside.toString('latin1')
  const folder = Buffer.from(directory ?? '/').toString('latin1')
  return printableName(join(folder, bytes))
}
