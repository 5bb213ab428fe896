/**
 * `grove verify`: reads and authenticates every block and entry that is kept here.
 *
 * @module
 */
import { ApiClient } from '../api-client.ts'
import type { Damage } from '../api.ts'
import { writeResult, type Command, type Context } from '../command.ts'
import { Home } from '../home.ts'
import { printableJsonName } from '../printable-name.ts'
import { ProgressBar } from '../progress-bar.ts'
import type { VerifyEvent } from '../served-drive.ts'

/** How much damage is listed; what lies beyond is only counted. */
export const DAMAGE_LISTED_MAX = 10_000

/** See the module. */
export const verifyCommand: Command = {
  name: 'verify',
  summary: 'read and check everything kept here; exit 1 and the paths if something is damaged',
  positional: [],
  options: [],
  examples: [
    ['grove verify', 'with or without a running daemon'],
    ['grove verify --json', 'for programs: {"ok", "damaged": [{"path", "reason"}]}']
  ],
  run
}

async function run(context: Context): Promise<number> {
  const home = await Home.locate(context.environment)
  await home.check()
  const daemon = await ApiClient.find(home, context.signal)
  if (daemon !== undefined) return report(context, daemon.verify())
  const { withOfflineDrive } = await import('../offline-drive.ts')
  return withOfflineDrive({ context, home, command: 'verify' }, drive =>
    report(context, drive.verify(context.signal))
  )
}

async function report(
  context: Context,
  events: AsyncIterable<VerifyEvent | { readonly kind: 'end' }>
): Promise<number> {
  const bar = new ProgressBar(context.stderr, 'Verifying')
  const damaged: Damage[] = []
  let count = 0
  try {
    for await (const event of events) {
      if (event.kind === 'progress') bar.update(event.progress)
      if (event.kind !== 'damage') continue
      count++
      if (damaged.length < DAMAGE_LISTED_MAX) damaged.push(event.damage)
    }
  } finally {
    bar.end()
  }
  context.signal.throwIfAborted()
  await writeResult(context, {
    json: { ok: count === 0, count, damaged },
    text: [
      ...damaged.map(each => `${printableJsonName(each)}: ${each.reason}`),
      count === 0 ? 'everything is whole' : `${count} damaged`
    ]
  })
  return count === 0 ? 0 : 1
}
