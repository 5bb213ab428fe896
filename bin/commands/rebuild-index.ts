/**
 * `grove rebuild-index`: throws the index away and makes it anew from the logs.
 *
 * @module
 */
import { ApiClient } from '../api-client.ts'
import { writeResult, type Command, type Context } from '../command.ts'
import { GroveError } from '../grove-error.ts'
import { Home } from '../home.ts'

/** See the module. */
export const rebuildIndexCommand: Command = {
  name: 'rebuild-index',
  summary: 'make the index anew from the logs; nothing is lost',
  positional: [],
  options: [],
  examples: [['grove stop && grove rebuild-index && grove mount', 'the whole procedure']],
  run
}

async function run(context: Context): Promise<undefined> {
  const home = await Home.locate(context.environment)
  await home.check()
  const daemon = await ApiClient.find(home, context.signal)
  if (daemon !== undefined) {
    const { pid } = await daemon.status()
    throw new GroveError(
      'LOCKED',
      `the daemon (process ${pid}) uses the index; run \`grove stop\` first`
    )
  }
  const { withOfflineDrive } = await import('../offline-drive.ts')
  const logs = await withOfflineDrive(
    { context, home, command: 'rebuild-index', rebuildIndex: true },
    async drive => (await drive.status()).logs
  )
  const entries = logs
    .filter(log => log.role === 'operations')
    .reduce((sum, log) => sum + log.length, 0)
  await writeResult(context, {
    json: { rebuilt: true, entries },
    text: [`rebuilt the index from ${entries} entries`]
  })
}
