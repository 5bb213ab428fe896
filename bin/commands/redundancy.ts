/**
 * `grove redundancy`: how many copies a file or directory is to have, and has.
 *
 * @module
 */
import { ApiClient } from '../api-client.ts'
import { checkLevel } from '../api-request.ts'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import { describeRedundancy } from '../describe-redundancy.ts'
import { Home } from '../home.ts'
import { resolveOutsideMounts } from '../resolve-outside-mounts.ts'

/** See the module. */
export const redundancyCommand: Command = {
  name: 'redundancy',
  summary: 'say, or set, on how many computers a file or directory is to be',
  positional: [
    ['<path>', 'a file or directory in the mounted folder'],
    ['[level]', 'N copies, N/FLOOR, or inherit: as the directory above']
  ],
  options: [],
  examples: [
    ['grove redundancy ~/Grove/Photos', 'how many copies are wished, and how many there are'],
    ['grove redundancy ~/Grove/Photos 3', 'have 3 copies of all in it, also of what is there'],
    ['grove redundancy ~/Grove/Photos 4/2', 'wish 4, and let no computer go when 2 are left'],
    ['grove redundancy ~/Grove/Photos inherit', 'whatever the directory above has'],
    ['setfattr -n user.grove.redundancy -v 3/2 ~/Grove/Photos', 'does the same']
  ],
  run
}

async function run(context: Context, input: Input): Promise<undefined> {
  const [asked = '', value] = input.positional
  const level = value === undefined ? undefined : checkLevel(value)
  const home = await Home.locate(context.environment)
  await home.check()
  const daemon = await ApiClient.require(home, context.signal)
  const { path } = await resolveOutsideMounts(asked)
  const answer = await daemon.redundancy({ path, ...(level !== undefined && { level }) })
  await writeResult(context, { json: answer, text: describeRedundancy(answer) })
}
