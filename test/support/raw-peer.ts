/**
 * The other end of a session, under a test's control: says what the test says and notes all that
 * it hears.
 *
 * @module
 */
import Protomux, { type Channel } from 'protomux'
import { asciiBytes, deriveKey } from '../../src/crypto/derive.ts'
import type { KeyTable } from '../../src/crypto/key-table.ts'
import { keyedBlake2b } from '../../src/crypto/sodium.ts'
import type { PeerConnection, PeerNetwork } from '../../src/replication/peer-network.ts'
import {
  decodeSessionMessage,
  encodeSessionMessage,
  type ProveMessage,
  type SessionMessage
} from '../../src/replication/session-message.ts'
import { until } from './until.ts'

/** One end of a connection that speaks the protocol by hand. */
export class RawPeer {
  /** The messages of sessions that came. */
  readonly messages: SessionMessage[] = []
  /** Every decrypted frame that came, whatever it is. */
  readonly frames: Buffer[] = []
  readonly connection: PeerConnection
  readonly #channel: Channel | null

  constructor(connection: PeerConnection) {
    this.connection = connection
    const { stream } = connection
    stream.on('data', data => this.frames.push(Buffer.from(data)))
    this.#channel = Protomux.from(stream).createChannel({
      protocol: 'grove/1',
      messages: [{ onmessage: bytes => this.messages.push(decodeSessionMessage(bytes)) }]
    })
    this.#channel?.open()
  }

  /** Connects a network to a device and waits for the connection. */
  static async connect(network: PeerNetwork, publicKey: Uint8Array): Promise<RawPeer> {
    let peer: RawPeer | undefined
    network.onConnection = connection => {
      peer = new RawPeer(connection)
    }
    network.connectTo(publicKey)
    await until('a connection', () => peer !== undefined)
    if (peer === undefined) throw new Error('no connection')
    return peer
  }

  /** Says what a message says. */
  say(message: SessionMessage): void {
    this.sayBytes(encodeSessionMessage(message))
  }

  /** Says anything. */
  sayBytes(bytes: Uint8Array): void {
    this.#channel?.messages[0]?.send(bytes)
  }

  /** What proves here that the drive's key is known. */
  proof(keys: KeyTable, drive: Uint8Array): ProveMessage {
    const keyId = keys.currentKeyId
    const key = deriveKey({ key: keys.get(keyId).key, purpose: 'peer/proof', context: drive })
    const message = Buffer.concat([
      asciiBytes('grove/1/peer/proof'),
      Uint8Array.of(this.connection.isInitiator ? 1 : 0),
      this.connection.handshakeHash
    ])
    return { kind: 'prove', keyId, proof: keyedBlake2b({ key, message, bytes: 32 }) }
  }
}
