/**
 * `grove invite`: a code with which another computer joins the drive.
 *
 * @module
 */
import { INVITATION_MINUTES_MAX } from '../api.ts'
import { ApiClient } from '../api-client.ts'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import { GroveError } from '../grove-error.ts'
import { Home } from '../home.ts'

/** How long a code works unless the person says otherwise, in minutes. */
export const INVITATION_MINUTES = 10

/** See the module. */
export const inviteCommand: Command = {
  name: 'invite',
  summary: 'make a code with which another computer joins the drive',
  positional: [],
  options: [
    {
      flags: '--minutes <n>',
      summary: `how long the code works (default: ${INVITATION_MINUTES})`
    }
  ],
  examples: [
    ['grove invite', 'show a code, and a QR code in a terminal; it works once'],
    ['grove invite --minutes 60', 'leave an hour to walk to the other computer'],
    ['grove invite --json', 'for programs: {"code", "expiresMs"}']
  ],
  run
}

async function run(context: Context, input: Input): Promise<undefined> {
  const minutes = readMinutes(input.options.get('minutes'))
  const home = await Home.locate(context.environment)
  await home.check()
  const daemon = await ApiClient.require(home, context.signal)
  const { code, expiresMs } = await daemon.invite({ minutes })
  await writeResult(context, {
    json: { code, expiresMs },
    text: [
      `On the other computer, within ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}, run:`,
      '',
      `  grove join ${code}`,
      '',
      ...(await picture(context, code)),
      'The code works once. Whoever has it can join, so show it to nobody else.'
    ]
  })
}

/** Only a person can point a camera at it. */
async function picture(context: Context, code: string): Promise<readonly string[]> {
  if (context.json || context.stdout.isTTY !== true) return []
  const { qrCodeLines } = await import('../qr-code.ts')
  const lines = qrCodeLines(code)
  const fits = lines.every(line => line.length <= (context.stdout.columns ?? 80))
  return fits ? [...lines, ''] : []
}

function readMinutes(asked: string | true | undefined): number {
  if (asked === undefined) return INVITATION_MINUTES
  const minutes = typeof asked === 'string' && /^\d{1,9}$/.test(asked) ? Number(asked) : 0
  if (minutes >= 1 && minutes <= INVITATION_MINUTES_MAX) return minutes
  throw new GroveError(
    'USAGE',
    `--minutes takes a whole number from 1 to ${INVITATION_MINUTES_MAX} (a day)`
  )
}
