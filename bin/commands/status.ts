/**
 * `grove status`: how the drive is on this computer.
 *
 * @module
 */
import { ApiClient } from '../api-client.ts'
import type { DaemonStatus, NetworkStatus } from '../api.ts'
import { writeResult, type Command, type Context } from '../command.ts'
import { describeSurvival } from '../describe-survival.ts'
import { Home } from '../home.ts'
import { readableSize } from '../readable-size.ts'

/** See the module. */
export const statusCommand: Command = {
  name: 'status',
  summary: 'say how the drive is: mounts, sizes, other devices, what survives a loss',
  positional: [],
  options: [],
  examples: [
    ['grove status', 'for people'],
    ['grove status --json', 'for programs: pid, drive, device, mounts, logs, bytes, openFiles, ...']
  ],
  run
}

async function run(context: Context): Promise<undefined> {
  const home = await Home.locate(context.environment)
  await home.check()
  const daemon = await ApiClient.find(home, context.signal)
  if (daemon !== undefined) {
    const status = await daemon.status()
    await writeResult(context, { json: status, text: describe(status) })
    return
  }
  const { readUnsealed } = await import('../unlock-keys.ts')
  const known = await readUnsealed(home)
  const { drive, device } = known
  await writeResult(context, {
    json: { running: false, home: home.directory, ...known, mounts: [] },
    text: [
      'not running; start it with: grove mount',
      ...(drive === undefined ? [] : [`drive    ${drive}`]),
      ...(device === undefined ? [] : [`device   ${device.name} (${device.key})`]),
      `home     ${home.directory}`
    ]
  })
}

function describe(status: DaemonStatus): readonly string[] {
  const { mounts, device, logs } = status
  return [
    `running  process ${status.pid}`,
    ...(mounts.length === 0 ? ['mounted  nowhere; mount it with: grove mount'] : []),
    ...mounts.map(
      mount => `mounted  ${mount.directory} (${mount.driver}${mount.readOnly ? ', read-only' : ''})`
    ),
    `drive    ${status.drive}`,
    `device   ${device.name} (${device.key})`,
    `home     ${status.home}, ${readableSize(status.bytes)}`,
    ...logs.map(log => {
      const older = log.writable ? '' : ', an older epoch'
      return `log      ${log.key.slice(0, 16)} ${log.role}, ${log.length} entries${older}`
    }),
    `open     ${status.openFiles} files`,
    `pending  ${readableSize(status.unflushedBytes)}`,
    ...describeNetwork(status.network),
    ...(status.survival === undefined ? [] : describeSurvival(status.survival)),
    ...(status.problem === undefined ? [] : [`problem  ${status.problem}`])
  ]
}

function describeNetwork(network: NetworkStatus): readonly string[] {
  const { devices, online, missingBytes, waitingEntries, quarantined, refusedPeers } = network
  const others = devices === 0 ? 'none; add one with: grove invite' : `${devices}, ${online} online`
  return [
    `others   ${network.state === 'off' ? `${others}; the network is off` : others}`,
    `missing  ${readableSize(missingBytes)}, ${waitingEntries} entries wait for others`,
    ...quarantined.map(
      ({ log, index, reason }) => `refused  log ${log.slice(0, 16)} from entry ${index}: ${reason}`
    ),
    ...(refusedPeers === 0 ? [] : [`refused  ${refusedPeers} connections`]),
    ...(network.problem === undefined ? [] : [`network  ${network.problem}`])
  ]
}
