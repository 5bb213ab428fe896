/**
 * `grove cat`: writes out a version of a file.
 *
 * @module
 */
import { ApiClient } from '../api-client.ts'
import { writeBytes, writeResult, type Command, type Context, type Input } from '../command.ts'
import { GroveError } from '../grove-error.ts'
import { Home } from '../home.ts'
import { resolveOutsideMounts } from '../resolve-outside-mounts.ts'

/** The largest file that `--json` prints, in bytes; without it there is no limit. */
export const JSON_BYTES_MAX = 16 * 1024 * 1024

/** See the module. */
export const catCommand: Command = {
  name: 'cat',
  summary: 'write out a version of a file, as `grove versions` lists them',
  positional: [['<path@version>', 'a file in the mounted folder, @, and one of its versions']],
  options: [],
  examples: [
    ['grove cat ~/Grove/notes.txt@3f2a9c01.12.0', 'show how it was'],
    ['grove cat ~/Grove/notes.txt@3f2a9c01.12.0 > old.txt', 'have it back beside the new one'],
    ['grove cat ~/Grove/notes.txt@3f2a9c01.12.0 --json', 'for programs: {"version", "base64"}']
  ],
  run
}

async function run(context: Context, input: Input): Promise<undefined> {
  const { file, version } = split(input.positional[0] ?? '')
  const home = await Home.locate(context.environment)
  await home.check()
  const daemon = await ApiClient.require(home, context.signal)
  const { path } = await resolveOutsideMounts(file)
  const pieces = daemon.cat({ path, version })
  if (context.json) return writeJson(context, version, pieces)
  for await (const piece of pieces) await writeBytes(context, piece)
}

async function writeJson(
  context: Context,
  version: string,
  pieces: AsyncIterable<Uint8Array>
): Promise<undefined> {
  const whole: Uint8Array[] = []
  let size = 0
  for await (const piece of pieces) {
    size += piece.length
    if (size > JSON_BYTES_MAX)
      throw new GroveError('USAGE', 'the file is too large for --json; leave it out')
    whole.push(piece)
  }
  const base64 = Buffer.concat(whole).toString('base64')
  await writeResult(context, { json: { version, size, base64 }, text: [] })
}

function split(asked: string): { readonly file: string; readonly version: string } {
  const at = asked.lastIndexOf('@')
  if (at > 0 && at < asked.length - 1)
    return { file: asked.slice(0, at), version: asked.slice(at + 1) }
  throw new GroveError('USAGE', 'write PATH@VERSION; `grove versions PATH` lists the versions')
}
