/**
 * `grove init`: makes a person, a device and a drive, and shows the 24 words once.
 *
 * @module
 */
import { hostname } from 'node:os'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import { GroveError } from '../grove-error.ts'
import { Home } from '../home.ts'
import type { NewDrive } from '../new-drive.ts'
import { wantedPassphrase } from '../wanted-passphrase.ts'

/** How many words are shown on a line. */
const WORDS_PER_LINE = 6

/** See the module. */
export const initCommand: Command = {
  name: 'init',
  summary: 'make a new drive on this computer and show its 24 words',
  positional: [],
  options: [
    { flags: '--name <device>', summary: 'what to call this computer (default: its host name)' },
    { flags: '--passphrase', summary: 'seal the keys on this disk with a passphrase' }
  ],
  examples: [
    ['grove init', 'make a drive'],
    ['grove init --name desk --passphrase', 'name this computer and ask for a passphrase'],
    ['GROVE_PASSPHRASE_FILE=secret grove init --passphrase', 'take the passphrase from a file'],
    ['GROVE_HOME=/mnt/disk/grove grove init', 'keep the drive on another disk']
  ],
  run
}

async function run(context: Context, input: Input): Promise<undefined> {
  const { checkDeviceName, defaultDeviceName } = await import('../new-drive.ts')
  const asked = input.options.get('name')
  const deviceName = checkDeviceName(
    typeof asked === 'string' ? asked : defaultDeviceName(hostname())
  )
  const home = await Home.locate(context.environment)
  await home.checkUnused()
  const passphrase = await wantedPassphrase(context, input)
  try {
    const { createDrive } = await import('../create-drive.ts')
    const drive = await createDrive({ home, deviceName, passphrase })
    await showOrUndo(context, home, { ...drive, deviceName })
  } finally {
    passphrase?.fill(0)
  }
}

/** A drive whose words nobody has seen could never be recovered. */
async function showOrUndo(...shown: Parameters<typeof showWords>): Promise<void> {
  try {
    await showWords(...shown)
  } catch (error) {
    const [, home] = shown
    await home.removeKeyFile()
    throw new GroveError('FAILED', 'the words could not be shown, so no drive was made', {
      cause: error
    })
  }
}

async function showWords(
  context: Context,
  home: Home,
  made: NewDrive & { readonly deviceName: string }
): Promise<void> {
  const words = made.words.split(' ')
  const drive = Buffer.from(made.content.drive).toString('hex')
  const lines: string[] = []
  for (let first = 0; first < words.length; first += WORDS_PER_LINE) {
    const line = words.slice(first, first + WORDS_PER_LINE)
    lines.push(
      line.map((word, at) => `${String(first + at + 1).padStart(4)} ${word.padEnd(9)}`).join('')
    )
  }
  await writeResult(context, {
    json: {
      words: made.words,
      drive,
      device: made.deviceName,
      identity: Buffer.from(made.content.identity).toString('hex'),
      home: home.directory
    },
    text: [
      'Your drive is ready. These 24 words are the only way back to it when all your computers',
      'are lost. Write them down, in order, and keep them secret; they are not shown again.',
      '',
      ...lines.map(line => line.trimEnd()),
      '',
      `This computer is called "${made.deviceName}". Next: grove mount`,
      'To have the drive on another computer too: grove invite'
    ]
  })
}
