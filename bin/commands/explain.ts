/**
 * `grove explain`: which computers keep a file, since when, and why these.
 *
 * @module
 */
import { ApiClient } from '../api-client.ts'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import type { ExplainAnswer, ExplainedComputer } from '../custody-api.ts'
import { counted, describeRedundancy } from '../describe-redundancy.ts'
import { Home } from '../home.ts'
import { printableText } from '../printable-name.ts'
import { readableTime } from '../readable-time.ts'
import { resolveOutsideMounts } from '../resolve-outside-mounts.ts'
import { textTable } from '../text-table.ts'
import { KIND_WORDS } from './holders.ts'

const HEADER = ['NAME', 'WHAT', 'KEEPS', 'SINCE', 'PROVEN', 'COUNTS', 'WHY']

/** See the module. */
export const explainCommand: Command = {
  name: 'explain',
  summary: 'say which computers keep a file, since when, and why these',
  positional: [['<path>', 'a file or directory in the mounted folder']],
  options: [],
  examples: [
    ['grove explain ~/Grove/Photos/cat.jpg', 'for people'],
    ['grove explain ~/Grove/Photos/cat.jpg --json', 'for programs: {"computers": [{"name", ...}]}']
  ],
  run
}

async function run(context: Context, input: Input): Promise<undefined> {
  const [asked = ''] = input.positional
  const home = await Home.locate(context.environment)
  await home.check()
  const daemon = await ApiClient.require(home, context.signal)
  const { path } = await resolveOutsideMounts(asked)
  const answer = await daemon.explain({ path })
  await writeResult(context, { json: answer, text: describe(answer) })
}

function describe(answer: ExplainAnswer): readonly string[] {
  const { blocks, computers } = answer
  return [
    ...describeRedundancy(answer),
    blocks === 0
      ? 'it travels with the operations of the drive, which every computer keeps'
      : `it has ${counted(blocks, 'block', 'blocks')}:`,
    ...textTable([HEADER, ...computers.map(each => row(each, blocks))])
  ]
}

function row(computer: ExplainedComputer, blocks: number): readonly string[] {
  const { name, kind, state, sinceMs, lastProofMs, counts, why } = computer
  return [
    printableText(name),
    KIND_WORDS[kind],
    blocks === 0 ? '-' : computer.blocks === blocks ? 'all' : `${computer.blocks} of ${blocks}`,
    time(sinceMs),
    kind === 'this' ? '-' : time(lastProofMs),
    counts ? 'yes' : state === 'held' ? 'no' : `no, ${state}`,
    printableText(why)
  ]
}

function time(ms: number | undefined): string {
  return ms === undefined ? '-' : readableTime(ms)
}
