/**
 * `grove bootstrap`: a node by which devices find each other without the internet.
 *
 * @module
 */
import { isIPv4 } from 'node:net'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import { GroveError } from '../grove-error.ts'
import { parsePort } from '../network-environment.ts'

/** The port of a node unless the person says otherwise. */
export const BOOTSTRAP_PORT = 49_737

/** See the module. */
export const bootstrapCommand: Command = {
  name: 'bootstrap',
  summary: 'run a node by which devices find each other in a network without the internet',
  positional: [],
  options: [
    { flags: '--host <address>', summary: 'IPv4 address of this computer that the others reach' },
    { flags: '--port <port>', summary: `UDP port (default: ${BOOTSTRAP_PORT})` }
  ],
  examples: [
    ['grove bootstrap --host 192.168.1.5', 'stays until interrupted; prints what to export'],
    ['grove bootstrap --host 127.0.0.1 --port 5000', 'for several homes on this computer'],
    ['grove bootstrap --host 192.168.1.5 --json', 'for programs: {"host", "port", "bootstrap"}']
  ],
  run
}

async function run(context: Context, input: Input): Promise<undefined> {
  const host = readHost(input.options.get('host'))
  const port = parsePort(String(input.options.get('port') ?? BOOTSTRAP_PORT))
  // Only a process that is a node loads the network.
  const { BootstrapNode } = await import('../../src/replication/bootstrap-node.ts')
  const node = await BootstrapNode.open({ host, port })
  try {
    const bootstrap = `${host}:${port}`
    await writeResult(context, {
      json: { host, port, bootstrap },
      text: [
        'A node is running until you interrupt it. On every device of the drive:',
        '',
        `  export GROVE_BOOTSTRAP=${bootstrap}`,
        '',
        'and start its daemon anew: grove stop, grove mount.'
      ]
    })
    await interrupted(context.signal)
  } finally {
    await node.close()
  }
}

function interrupted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}

function readHost(asked: string | true | undefined): string {
  if (typeof asked === 'string' && isIPv4(asked)) return asked
  if (asked === undefined)
    throw new GroveError('USAGE', 'say where the node listens, as in --host 192.168.1.5')
  throw new GroveError('USAGE', `"${String(asked)}" is no IPv4 address; write --host 192.168.1.5`)
}
