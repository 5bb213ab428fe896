/**
 * `grove versions`: the versions of a file that `grove cat` can show.
 *
 * @module
 */
import type { VersionStatus } from '../api.ts'
import { ApiClient } from '../api-client.ts'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import { Home } from '../home.ts'
import { readableSize } from '../readable-size.ts'
import { resolveOutsideMounts } from '../resolve-outside-mounts.ts'

/** See the module. */
export const versionsCommand: Command = {
  name: 'versions',
  summary: 'list the versions of a file, oldest first',
  positional: [['<path>', 'a file in the mounted folder']],
  options: [],
  examples: [
    ['grove versions ~/Grove/notes.txt', 'the last one is the current one'],
    ['grove versions ~/Grove/notes.txt --json', 'for programs: {"versions": [{"version", ...}]}']
  ],
  run
}

async function run(context: Context, input: Input): Promise<undefined> {
  const [asked = ''] = input.positional
  const home = await Home.locate(context.environment)
  await home.check()
  const daemon = await ApiClient.require(home, context.signal)
  const { path } = await resolveOutsideMounts(asked)
  const answer = await daemon.versions({ path })
  const older = answer.count - answer.versions.length
  await writeResult(context, {
    json: answer,
    text: [
      ...(older > 0 ? [`${older} older versions are not listed`] : []),
      ...answer.versions.map(describe)
    ]
  })
}

function describe({ version, timeMs, size, device }: VersionStatus): string {
  return `${version}  ${new Date(timeMs).toISOString()}  ${readableSize(size)}  ${device}`
}
