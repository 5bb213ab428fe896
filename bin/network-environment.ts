/**
 * What the environment says of the network:
 *
 * ```
 * GROVE_BOOTSTRAP=host:port[,...]   DHT nodes to begin with, instead of the public ones
 * GROVE_LISTEN=address              the one local IPv4 address to use, instead of all
 * GROVE_MACHINE=text                what stands in for this machine's id
 * ```
 *
 * @module
 */
import { isIPv4 } from 'node:net'
import { GroveError } from './grove-error.ts'
import type { Environment } from './home.ts'

/** How many bootstrap nodes may be named. */
export const BOOTSTRAP_NODES_MAX = 32
/** The longest name of a host, in characters (RFC 1035). */
export const HOST_LENGTH_MAX = 253

/** Where a node listens. */
export interface NodeAddress {
  /** An IPv4 address or a host's name. */
  readonly host: string
  /** UDP port. */
  readonly port: number
}

/** How to reach the network. */
export interface NetworkOptions {
  /** DHT nodes to begin with; absent for the public ones. */
  readonly bootstrap?: readonly NodeAddress[]
  /** The local address to bind; absent for all. */
  readonly listenHost?: string
  /** What stands in for this machine's id, as in containers that share one; absent for none. */
  readonly machine?: string
}

/**
 * Reads and checks the network's variables. Empty ones count as absent.
 *
 * @throws {GroveError} `USAGE`, naming the variable and what it should look like
 */
export function readNetworkOptions(environment: Environment): NetworkOptions {
  const nodes = environment['GROVE_BOOTSTRAP']
  const listenHost = environment['GROVE_LISTEN']
  const machine = environment['GROVE_MACHINE']
  return {
    ...(isSet(nodes) && { bootstrap: parseBootstrap(nodes) }),
    ...(isSet(listenHost) && { listenHost: parseAddress(listenHost) }),
    ...(isSet(machine) && { machine })
  }
}

/** Checks a UDP port. @throws {GroveError} `USAGE` */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port >= 1 && port <= 65_535) return port
  throw new GroveError('USAGE', `"${text}" is no port; write a number from 1 to 65535`)
}

function parseBootstrap(text: string): readonly NodeAddress[] {
  const nodes = text.split(',').map(each => parseNode(each.trim()))
  if (nodes.length <= BOOTSTRAP_NODES_MAX) return nodes
  throw new GroveError('USAGE', `GROVE_BOOTSTRAP names more than ${BOOTSTRAP_NODES_MAX} nodes`)
}

function parseNode(text: string): NodeAddress {
  const [, host = '', port = ''] = /^([^:]*):(\d{1,5})$/.exec(text) ?? []
  const number = Number(port)
  if (isHost(host) && number >= 1 && number <= 65_535) return { host, port: number }
  throw new GroveError(
    'USAGE',
    `GROVE_BOOTSTRAP has "${text}", which is no host:port; write it as in 192.168.1.5:49737`
  )
}

function parseAddress(text: string): string {
  if (isIPv4(text)) return text
  throw new GroveError(
    'USAGE',
    `GROVE_LISTEN is "${text}", which is no IPv4 address; write it as in 192.168.1.5`
  )
}

function isHost(text: string): boolean {
  if (text.length > HOST_LENGTH_MAX) return false
  // What looks like an address must be one: a name is never all digits and dots.
  if (/^[\d.]*$/.test(text)) return isIPv4(text)
  const label = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
  return new RegExp(`^${label}(\\.${label})*$`).test(text)
}

function isSet(text: string | undefined): text is string {
  return text !== undefined && text !== ''
}
