/**
 * A node of the distributed hash table by which devices find each other: the one place where
 * hyperdht and hyperswarm are opened, with the options that were found to work.
 *
 * Source: hyperdht 6.34, dht-rpc 6, hyperswarm 4.17.
 *
 * @module
 */
import { lookup } from 'node:dns/promises'
import { BlockList, isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { NetworkInterfaceInfo } from 'node:os'
import HyperDHT from 'hyperdht'
import Persistent from 'hyperdht/lib/persistent.js'
import Hyperswarm from 'hyperswarm'
import type { NetworkKeyPair } from 'hyperdht'
import { KEEP_ALIVE_MS, PEERS_MAX, PENDING_CONNECTIONS_MAX } from './peer-network.ts'

export type { NetworkKeyPair } from 'hyperdht'
export type { Discovery as SwarmTopic, SwarmStream } from 'hyperswarm'

/** Where a node is. */
export interface NodeAddress {
  /** An IPv4 address or a host's name. */
  readonly host: string
  /** A UDP port, 1 to 65,535. */
  readonly port: number
}

/** How a device takes part in the hash table. */
export interface DhtOptions {
  /** Nodes to start from; those of the public network unless given. */
  readonly bootstrap?: readonly NodeAddress[]
  /** The one IPv4 address to listen at; all addresses unless given. */
  readonly listenHost?: string
  /** The UDP port to listen at; the first free one from {@link LISTEN_PORT_MIN} unless given. */
  readonly port?: number
}

/** The first UDP port a device tries to listen at: the same after each start, if it is free. */
export const LISTEN_PORT_MIN = 49_738

/** The last UDP port a device tries before it takes any. */
export const LISTEN_PORT_MAX = 49_757

/** A node of the hash table; the caller destroys it. */
export type Dht = HyperDHT

/** A node with its own key, topics and connections; the caller destroys it, the node included. */
export type Swarm = Hyperswarm

/** What a {@link Swarm} needs beyond its node. */
export interface SwarmOptions extends DhtOptions {
  /** Whose key the swarm connects with; a fresh one unless given. */
  readonly keyPair?: NetworkKeyPair
  /** Whether a device that knocks may come in; everyone may unless given. */
  readonly admits?: (publicKey: Uint8Array) => boolean | Promise<boolean>
  /** Whether to knock at a device that was found; all are knocked at unless given. */
  readonly mayApproach?: (publicKey: Uint8Array) => boolean
}

/**
 * Opens a node and binds its sockets; who else is there it finds out in the background.
 *
 * @throws {Error} the system's, when the address is not to be had (now)
 */
export async function openDht(options: DhtOptions): Promise<Dht> {
  const { bootstrap, listenHost, port } = options
  const dht = new HyperDHT({
    ...(bootstrap === undefined ? {} : { bootstrap }),
    ...(listenHost === undefined ? {} : { host: listenHost }),
    port: port ?? [LISTEN_PORT_MIN, LISTEN_PORT_MAX + 1],
    // By default a node believes that others cannot reach it and meets them by hole punching, which
    // two nodes of one machine or network get wrong: one of them sees a connection, the other none.
    // Nothing translates addresses between us and a bootstrap node of our own network.
    firewalled: bootstrap === undefined || !(await areNeighbours(bootstrap)),
    connectionKeepAlive: KEEP_ALIVE_MS
  })
  return bound(dht)
}

/**
 * Opens a swarm on a node of its own.
 *
 * @throws {Error} as {@link openDht}
 */
export async function openSwarm(options: SwarmOptions): Promise<Swarm> {
  const { keyPair, admits, mayApproach } = options
  const swarm = new Hyperswarm({
    dht: await openDht(options),
    maxPeers: PEERS_MAX,
    maxParallel: PENDING_CONNECTIONS_MAX,
    ...(keyPair === undefined ? {} : { keyPair }),
    firewall: publicKey => mayApproach?.(publicKey) === false
  })
  // Hyperswarm remembers for ever whom its firewall refused, strangers too, and cannot wait for an
  // answer. So its own is for those that we call, and forgets; the server's is for those that knock.
  swarm.on('ban', peer => {
    peer.ban(false)
    swarm.peers.delete(Buffer.from(peer.publicKey).toString('hex'))
  })
  swarm.server.firewall = async publicKey => (await admits?.(publicKey)) === false
  return swarm
}

/**
 * Opens a node that others start from.
 *
 * @param address - an address of this machine that the others can reach, and a free port
 * @throws {Error} the system's, when the address is not to be had
 */
export async function openBootstrapNode(address: NodeAddress): Promise<Dht> {
  const { host, port } = address
  const dht = await bound(HyperDHT.bootstrapper(port, host, { host }))
  await dht.fullyBootstrapped()
  return dht
}

/** A record of the hash table as it was signed. */
export interface SignedRecord {
  /** What it stands under; Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Of two versions the higher counts. */
  readonly sequence: number
  /** What it says. */
  readonly value: Uint8Array
  /** 64 bytes. */
  readonly signature: Uint8Array
}

/** Signs a version of the record that stands under a key pair; only read. */
export function signRecord(
  keyPair: NetworkKeyPair,
  content: { readonly sequence: number; readonly value: Uint8Array }
): SignedRecord {
  const { sequence, value } = content
  const signature = Persistent.signMutable(sequence, value, keyPair)
  return { publicKey: keyPair.publicKey, sequence, value, signature: Uint8Array.from(signature) }
}

/** Whether a record is as the owner of its public key signed it. */
export function isGenuineRecord({ publicKey, sequence, value, signature }: SignedRecord): boolean {
  return Persistent.verifyMutable(signature, sequence, value, publicKey)
}

/** Puts a record at the nodes that it is looked for at. @throws {Error} when none takes it */
export async function putRecord(dht: Dht, record: SignedRecord): Promise<void> {
  const { publicKey, sequence: seq, signature } = record
  const signMutable = () => signature
  await dht.mutablePut({ publicKey }, Buffer.from(record.value), { seq, signMutable })
}

/** Looks up the newest genuine version of a record; undefined when nobody has one. */
export async function getRecord(
  dht: Dht,
  publicKey: Uint8Array
): Promise<SignedRecord | undefined> {
  const found = await dht.mutableGet(publicKey)
  if (found === null || found.value === null || !Number.isSafeInteger(found.seq)) return undefined
  const { seq: sequence, value, signature } = found
  return {
    publicKey: Uint8Array.from(publicKey),
    sequence,
    value: Uint8Array.from(value),
    signature: Uint8Array.from(signature)
  }
}

/** Whether any node answers who is asked for a key. */
export async function answersQueries(dht: Dht, publicKey: Uint8Array): Promise<boolean> {
  for await (const reply of dht.findNode(Buffer.from(publicKey))) if (reply) return true
  return false
}

async function bound(dht: Dht): Promise<Dht> {
  try {
    await dht.bind()
    return dht
  } catch (error) {
    // Without sockets its own way to close fails before it has closed everything.
    await dht.destroy({ force: true }).catch(() => undefined)
    await dht.io.networkInterfaces.destroy()
    throw error
  }
}

/** Whether all nodes are on this machine or in a network that it has an address in. */
async function areNeighbours(nodes: readonly NodeAddress[]): Promise<boolean> {
  const near = new BlockList()
  for (const { address, family, cidr } of Object.values(networkInterfaces()).flatMap(own)) {
    if (family === 'IPv4') near.addSubnet(address, Number(cidr?.split('/')[1] ?? 32), 'ipv4')
  }
  const hosts = await Promise.all(nodes.map(async ({ host }) => resolved(host)))
  return hosts.every(host => isIPv4(host) && near.check(host, 'ipv4'))
}

const own = (addresses: NetworkInterfaceInfo[] | undefined): NetworkInterfaceInfo[] =>
  addresses ?? []

/** A host's IPv4 address, or the name itself when nobody knows it (now). */
async function resolved(host: string): Promise<string> {
  if (isIPv4(host)) return host
  try {
    return (await lookup(host, { family: 4 })).address
  } catch {
    return host
  }
}
