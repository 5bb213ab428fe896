/**
 * `grove unmount`: takes the folder away; the daemon goes on.
 *
 * @module
 */
import { ApiClient } from '../api-client.ts'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import { GroveError } from '../grove-error.ts'
import { Home } from '../home.ts'
import { resolveOutsideMounts } from '../resolve-outside-mounts.ts'
import { occupiedError } from '../occupied-error.ts'

/** See the module. */
export const unmountCommand: Command = {
  name: 'unmount',
  summary: 'take the folder away; everything written is safe afterwards',
  positional: [['[directory]', 'the folder (default: whatever is mounted)']],
  options: [{ flags: '--lazy', summary: 'also while programs use files in it' }],
  examples: [
    ['grove unmount', 'unmount the drive'],
    ['grove unmount --lazy', 'detach it although programs still use it'],
    ['grove unmount ~/Grove', 'also clears what a killed daemon left behind']
  ],
  run
}

async function run(context: Context, input: Input): Promise<undefined> {
  const home = await Home.locate(context.environment)
  const asked = input.positional[0]
  const directory = asked === undefined ? undefined : (await resolveOutsideMounts(asked)).path
  const daemon = await ApiClient.find(home, context.signal)
  const lazy = input.options.has('lazy')
  const directories =
    daemon === undefined
      ? await clearDead(directory)
      : (await daemon.unmount({ lazy, ...(directory !== undefined && { directory }) })).directories
  await writeResult(context, {
    json: { unmounted: directories },
    text:
      directories.length === 0
        ? ['nothing is mounted']
        : directories.map(each => `unmounted ${each}`)
  })
}

/** Without a daemon there can only be the mount of one that died. */
async function clearDead(directory: string | undefined): Promise<readonly string[]> {
  if (directory === undefined)
    throw new GroveError(
      'NOT_RUNNING',
      'no daemon is running for this home; to clear what a killed one left, name the folder'
    )
  const { mountTools } = await import('../mount-tools.ts')
  const found = await mountTools.clearDeadMount(directory)
  if (found === 'live' || found === 'unresponsive') throw occupiedError(directory, found)
  return found === 'cleared' ? [directory] : []
}
