/**
 * `grove join`: makes this computer another device of a drive that exists elsewhere.
 *
 * @module
 */
import { hostname } from 'node:os'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import { Home } from '../home.ts'
import { readNetworkOptions } from '../network-environment.ts'
import { ProgressBar } from '../progress-bar.ts'
import { wantedPassphrase } from '../wanted-passphrase.ts'

/** See the module. */
export const joinCommand: Command = {
  name: 'join',
  summary: 'join a drive with the code that `grove invite` shows on another computer',
  positional: [['<code>', 'what `grove invite` shows']],
  options: [
    { flags: '--name <device>', summary: 'what to call this computer (default: its host name)' },
    { flags: '--passphrase', summary: 'seal the keys on this disk with a passphrase' }
  ],
  examples: [
    ['grove join CODE', 'join; the other computer must be on, with its drive mounted'],
    ['grove join CODE --name phone', 'and be called phone'],
    ['GROVE_BOOTSTRAP=192.168.1.5:49737 grove join CODE', 'in a network without the internet']
  ],
  run
}

async function run(context: Context, input: Input): Promise<undefined> {
  const { checkDeviceName, defaultDeviceName } = await import('../new-drive.ts')
  const asked = input.options.get('name')
  const deviceName = checkDeviceName(
    typeof asked === 'string' ? asked : defaultDeviceName(hostname())
  )
  const network = readNetworkOptions(context.environment)
  const [code = ''] = input.positional
  const home = await Home.locate(context.environment)
  await home.checkUnused()
  const passphrase = await wantedPassphrase(context, input)
  const bar = new ProgressBar(context.stderr, 'Joining')
  try {
    const { joinDrive } = await import('../join-drive.ts')
    const { content } = await joinDrive({
      home,
      code,
      deviceName,
      passphrase,
      network,
      signal: context.signal,
      onProgress: bar.update.bind(bar)
    })
    bar.end()
    await writeResult(context, {
      json: {
        drive: Buffer.from(content.drive).toString('hex'),
        device: deviceName,
        home: home.directory
      },
      text: [`This computer is called "${deviceName}" and has joined the drive. Next: grove mount`]
    })
  } finally {
    bar.end()
    passphrase?.fill(0)
  }
}
