/**
 * `grove mount`: makes the drive a folder, starting the daemon if none is running.
 *
 * @module
 */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { DRIVER_CHOICES, type DriverChoice, type MountRequest, type MountedStatus } from '../api.ts'
import { ApiClient } from '../api-client.ts'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import { Home } from '../home.ts'
import { launchDaemon } from '../launch-daemon.ts'
import { readNetworkOptions } from '../network-environment.ts'
import { resolveOutsideMounts } from '../resolve-outside-mounts.ts'
import { ProgressBar } from '../progress-bar.ts'

/** See the module. */
export const mountCommand: Command = {
  name: 'mount',
  summary: 'show the drive as a folder',
  positional: [['[directory]', 'where; made if missing (default: ~/Grove)']],
  options: [
    { flags: '--foreground', summary: 'stay here until interrupted instead of in the background' },
    {
      flags: '--driver <driver>',
      summary: 'how to mount (default: auto, which is linux where it works)',
      choices: DRIVER_CHOICES
    },
    { flags: '--read-only', summary: 'refuse writes' },
    { flags: '--allow-other', summary: 'let other users of this computer in' },
    { flags: '--launched', summary: 'started by `grove mount`', hidden: true }
  ],
  examples: [
    ['grove mount', 'mount at ~/Grove'],
    ['grove mount /mnt/drive', 'mount elsewhere'],
    ['grove mount --foreground', 'watch it work; Ctrl-C unmounts'],
    ['grove mount --read-only', 'look, but change nothing'],
    ['GROVE_BOOTSTRAP=192.168.1.5:49737 grove mount', 'find the other devices without the internet']
  ],
  run
}

async function run(context: Context, input: Input): Promise<number | undefined> {
  const home = await Home.locate(context.environment)
  await home.check()
  // Before anything is started: the daemon would have nobody to tell.
  readNetworkOptions(context.environment)
  const request = await readRequest(context, input)
  if (input.options.has('launched') || input.options.has('foreground')) {
    // Only a process that serves a drive loads what serves it.
    const { serveHere, serveLaunched } = await import('../serve-drive.ts')
    if (input.options.has('launched')) return serveLaunched(context, home, request)
    return serveHere(context, home, request, mounted => tell(context, mounted))
  }
  const daemon = await ApiClient.find(home, context.signal)
  const mounted =
    daemon === undefined ? await launch(context, home, request) : await daemon.mount(request)
  await tell(context, mounted)
  return undefined
}

async function readRequest(context: Context, input: Input): Promise<MountRequest> {
  const asked = input.positional[0] ?? join(context.environment['HOME'] ?? homedir(), 'Grove')
  // The daemon has another current directory.
  const { path: directory } = await resolveOutsideMounts(asked)
  return {
    directory,
    driver: (input.options.get('driver') ?? 'auto') as DriverChoice,
    readOnly: input.options.has('read-only'),
    allowOther: input.options.has('allow-other')
  }
}

/** Opens the keys here, where a person can be asked and told, and hands them to the daemon. */
async function launch(context: Context, home: Home, request: MountRequest): Promise<MountedStatus> {
  const { packKeys, unlockKeys } = await import('../unlock-keys.ts')
  const keys = await packKeys(await unlockKeys(home, context))
  const bar = new ProgressBar(context.stderr, 'Reading the logs')
  try {
    const { environment, signal } = context
    const onProgress = bar.update.bind(bar)
    return await launchDaemon({ home, request, keys, environment, signal, onProgress })
  } finally {
    keys.fill(0)
    bar.end()
  }
}

async function tell(context: Context, mounted: MountedStatus): Promise<void> {
  if (mounted.notice !== undefined) context.stderr.write(`grove: ${mounted.notice}\n`)
  const already = mounted.already === true ? 'already ' : ''
  const readOnly = mounted.readOnly ? ', read-only' : ''
  await writeResult(context, {
    json: mounted,
    text: [`${already}mounted at ${mounted.directory}${readOnly}`]
  })
}
