/**
 * `grove stop`: unmounts, makes everything safe and ends the daemon.
 *
 * @module
 */
import { ApiClient } from '../api-client.ts'
import { writeResult, type Command, type Context } from '../command.ts'
import { GroveError } from '../grove-error.ts'
import { Home } from '../home.ts'
import { waitUntilGone } from '../wait-until-gone.ts'

/** See the module. */
export const stopCommand: Command = {
  name: 'stop',
  summary: 'unmount, make everything safe and end the daemon',
  positional: [],
  options: [],
  examples: [
    ['grove stop', 'stop the daemon of this home'],
    ['GROVE_HOME=/mnt/disk/grove grove stop', 'stop the daemon of another home']
  ],
  run
}

async function run(context: Context): Promise<undefined> {
  const home = await Home.locate(context.environment)
  const daemon = await ApiClient.find(home, context.signal)
  if (daemon === undefined) {
    await writeResult(context, { json: { stopped: false }, text: ['no daemon was running'] })
    return
  }
  const { pid, problem } = await daemon.stop()
  await waitUntilGone(pid)
  if (problem !== undefined) throw new GroveError('FAILED', `stopped, but ${problem}`)
  await writeResult(context, { json: { stopped: true, pid }, text: [`stopped process ${pid}`] })
}
