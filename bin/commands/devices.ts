/**
 * `grove devices`: the computers of the drive and how far they are.
 *
 * @module
 */
import type { DeviceStatus, MergedStatus } from '../api.ts'
import { ApiClient } from '../api-client.ts'
import { writeResult, type Command, type Context } from '../command.ts'
import { Home } from '../home.ts'
import { printableText } from '../printable-name.ts'
import { readableTime } from '../readable-time.ts'
import { textTable } from '../text-table.ts'

/** How much of a key is shown to people, in characters. */
const KEY_CHARACTERS = 16

/** See the module. */
export const devicesCommand: Command = {
  name: 'devices',
  summary: 'list the computers of the drive: online, last seen, how far merged',
  positional: [],
  options: [],
  examples: [
    ['grove devices', 'for people; "merged here 7/9": of 9 entries it wrote, 7 are merged here'],
    ['grove devices --json', 'for programs: {"devices": [{"name", "key", "online", ...}]}']
  ],
  run
}

async function run(context: Context): Promise<undefined> {
  const home = await Home.locate(context.environment)
  await home.check()
  const daemon = await ApiClient.require(home, context.signal)
  const answer = await daemon.devices()
  await writeResult(context, { json: answer, text: table(answer.devices) })
}

function table(devices: readonly DeviceStatus[]): readonly string[] {
  const rows = devices.map(device => [
    printableText(device.name),
    device.key.slice(0, KEY_CHARACTERS),
    ...(device.isThis ? ['this device'] : state(device))
  ])
  return textTable(rows)
}

function state(device: DeviceStatus): readonly string[] {
  return [
    device.isSuspended ? 'suspended' : device.online ? 'online' : lastSeen(device),
    `merged here ${progress(device.here)}`,
    `merged there ${progress(device.there)}`
  ]
}

function lastSeen({ lastSeenMs }: DeviceStatus): string {
  if (lastSeenMs === undefined) return 'offline, not seen yet'
  return `offline, last seen ${readableTime(lastSeenMs)}`
}

function progress({ merged, known }: MergedStatus): string {
  return `${merged}/${known}`
}
