/**
 * Carries one request and its answer between two devices that share an invitation's secret; the
 * one home of blind-pairing.
 *
 * Both meet under a topic that follows from the secret alone, over a network that was opened for
 * this invitation with a key of its own: whoever watches the network learns neither which drive
 * nor which devices pair. blind-pairing seals request and answer with keys made of the secret, so
 * that others who are found under the topic (it is seen by nodes of the hash table) can neither
 * read nor make them.
 *
 * blind-pairing's mailbox in the hash table is not used: it holds 1,000 bytes, which an answer
 * does not fit, and an invitation ends with the process that made it.
 *
 * Source: blind-pairing 2.3, `index.js`; blind-pairing-core 2.
 *
 * @module
 */
import BlindPairing from 'blind-pairing'
import { pairingKeys } from '../crypto/invitation-code.ts'
import { PAIRING_ANSWER_BYTES_MAX } from '../crypto/pairing-answer.ts'
import { PAIRING_REQUEST_BYTES_MAX } from '../crypto/pairing-request.ts'
import type { Clock, Timer } from '../sync/clock.ts'
import type { MemberRequest, PairingMailbox, PairingSwarm } from 'blind-pairing'
import { GuardedMux } from './guarded-mux.ts'
import type { PeerConnection, PeerNetwork } from './peer-network.ts'

/** How many devices may be connected for one invitation at a time; more are turned away. */
export const PAIRING_CONNECTIONS_MAX = 8
/** How many messages one connection may carry; it is closed at more. */
export const PAIRING_MESSAGES_MAX = 64
/** How long the inviter keeps one connection, in milliseconds: nobody keeps others out. */
export const PAIRING_CONNECTION_MS_MAX = 30_000

/** After how long the newcomer first looks for the inviter anew, in milliseconds; then doubled. */
export const PAIRING_SEARCH_MS_MIN = 500
/** How long the newcomer waits at most before it looks anew, in milliseconds. */
export const PAIRING_SEARCH_MS_MAX = 4_000

/** What blind-pairing adds to request and answer, and the multiplexer to both; generous. */
const CARRIER_BYTES_MAX = 1024

/** Why nobody was taken in. */
export type PairingRefusal = 'refused' | 'used' | 'expired'

/** What an inviter says to a request. */
export type PairingReply = { readonly answer: Uint8Array } | { readonly refusal: PairingRefusal }

/** One side of a pairing. */
export interface PairingSide {
  /** Leaves the network and waits. Idempotent. */
  close(): Promise<void>
}

/** What both sides need. */
export interface PairingSideParts {
  /** Opened for this alone; closed with the side. */
  readonly network: PeerNetwork
  /** The invitation's secret; only read. */
  readonly secret: Uint8Array
  /** For the time limits of connections. */
  readonly clock: Clock
}

const REFUSAL_STATUS: Readonly<Record<PairingRefusal, number>> = { refused: 1, used: 2, expired: 3 }
const REFUSAL_OF_CODE: ReadonlyMap<string | undefined, PairingRefusal> = new Map([
  ['PAIRING_REJECTED', 'refused'],
  ['INVITE_USED', 'used'],
  ['INVITE_EXPIRED', 'expired']
])

/**
 * Waits for requests.
 *
 * @param parts.onRequest - told of each request made with the secret, perhaps several times of
 *   one; must give one reply to one request. When it rejects, nothing is answered.
 */
export function offerPairing(
  parts: PairingSideParts & {
    readonly onRequest: (request: Uint8Array) => Promise<PairingReply>
  }
): PairingSide {
  const { seed, topic: key } = pairingKeys(parts.secret)
  const { discoveryKey, publicKey } = BlindPairing.createInvite(key, { seed })
  const swarm = new NetworkSwarm(parts, {
    messageBytesMax: PAIRING_REQUEST_BYTES_MAX + CARRIER_BYTES_MAX,
    connectionMsMax: PAIRING_CONNECTION_MS_MAX
  })
  const pairing = new BlindPairing(swarm)
  const reply = async (request: MemberRequest) => {
    const response = await parts.onRequest(new Uint8Array(request.open(publicKey)))
    if ('refusal' in response) {
      request.deny({ status: REFUSAL_STATUS[response.refusal] })
      return
    }
    const { additional } = BlindPairing.createInvite(key, { seed, data: response.answer })
    request.confirm({ key, additional })
  }
  const member = pairing.addMember({
    discoveryKey,
    // What rejects here is kept by blind-pairing for ever: it must not.
    onadd: request => reply(request).catch(() => undefined)
  })
  // Some malformed requests make it throw a TypeError, which its multiplexer takes for a mistake
  // in this program and ends the process: a stranger must not be able to.
  const addRequest = member._addRequest.bind(member)
  member._addRequest = value => addRequest(value).catch(() => null)
  return sideOf(pairing, swarm)
}

/**
 * Sends a request, again to each device that is found, until closed.
 *
 * @param parts.onConnected - told of each device that is found; anyone may be
 * @param parts.onReply - told of each reply made with the secret
 */
export function sendPairingRequest(
  parts: PairingSideParts & {
    readonly request: Uint8Array
    readonly onConnected: () => void
    readonly onReply: (reply: PairingReply) => void
  }
): PairingSide {
  const { seed, topic } = pairingKeys(parts.secret)
  const invite = BlindPairing.createInvite(topic, { seed })
  const swarm = new NetworkSwarm(parts, {
    messageBytesMax: PAIRING_ANSWER_BYTES_MAX + CARRIER_BYTES_MAX,
    searches: true
  })
  const pairing = new BlindPairing(swarm)
  swarm.on('connection', parts.onConnected)
  const candidate = pairing.addCandidate({
    invite,
    userData: parts.request,
    onadd: async ({ data }) => parts.onReply({ answer: new Uint8Array(data ?? []) })
  })
  // As for requests: see above.
  const addResponse = candidate._addResponse.bind(candidate)
  candidate._addResponse = (...response) => addResponse(...response).catch(() => undefined)
  candidate.request.on('rejected', ({ code }) => {
    const refusal = REFUSAL_OF_CODE.get(code)
    // Anything else was not made with the secret: from a stranger.
    if (refusal !== undefined) parts.onReply({ refusal })
  })
  return sideOf(pairing, swarm)
}

function sideOf(pairing: BlindPairing, swarm: NetworkSwarm): PairingSide {
  let closing: Promise<void> | undefined
  const close = async () => {
    await pairing.close()
    await swarm.close()
  }
  return { close: () => (closing ??= close()) }
}

interface ConnectionLimits {
  readonly messageBytesMax: number
  readonly connectionMsMax?: number
  readonly searches?: boolean
}

/** The part of a Hyperswarm that blind-pairing calls, over our network; without a mailbox. */
class NetworkSwarm implements PairingSwarm {
  readonly dht: PairingMailbox = noMailbox()
  readonly connections = new Set<object>()
  readonly #listeners = new Set<(stream: object) => void>()
  readonly #network: PeerNetwork
  readonly #clock: Clock
  readonly #limits: ConnectionLimits
  #search: Timer | undefined

  constructor({ network, clock }: PairingSideParts, limits: ConnectionLimits) {
    this.#network = network
    this.#clock = clock
    this.#limits = limits
    network.mayConnect = () => this.connections.size < PAIRING_CONNECTIONS_MAX
    network.onConnection = connection => this.#take(connection)
  }

  on(_event: 'connection', listener: (stream: object) => void): void {
    this.#listeners.add(listener)
  }

  removeListener(_event: 'connection', listener: (stream: object) => void): void {
    this.#listeners.delete(listener)
  }

  join(topic: Uint8Array, { server, client }: { server: boolean; client: boolean }) {
    this.#network.join(topic)
    if (this.#limits.searches === true) this.#searchLater(topic, PAIRING_SEARCH_MS_MIN)
    return {
      isServer: server,
      isClient: client,
      flushed: async () => undefined,
      destroy: async () => {
        this.#search?.cancel()
        this.#network.leave(topic)
      }
    }
  }

  /** The inviter's announcement may come later than our question, and networks come and go. */
  #searchLater(topic: Uint8Array, delayMs: number): void {
    this.#search = this.#clock.after(delayMs, () => {
      if (this.connections.size === 0) {
        this.#network.leave(topic)
        this.#network.join(topic)
      }
      this.#searchLater(topic, Math.min(2 * delayMs, PAIRING_SEARCH_MS_MAX))
    })
  }

  async flush(): Promise<void> {
    // Nothing is ever under way that could be waited for.
  }

  close(): Promise<void> {
    return this.#network.close()
  }

  #take(connection: PeerConnection): void {
    const { stream } = connection
    if (this.connections.size >= PAIRING_CONNECTIONS_MAX) {
      void connection.close()
      return
    }
    this.connections.add(stream)
    const { messageBytesMax, connectionMsMax } = this.#limits
    let messages = 0
    // blind-pairing finds it and uses it.
    GuardedMux.install(stream, {
      admits: bytes => ++messages <= PAIRING_MESSAGES_MAX && bytes <= messageBytesMax,
      onFault: () => void connection.close()
    })
    const timer =
      connectionMsMax === undefined
        ? undefined
        : this.#clock.after(connectionMsMax, () => void connection.close())
    void connection.closed.then(() => {
      timer?.cancel()
      this.connections.delete(stream)
    })
    for (const listener of this.#listeners) listener(stream)
  }
}

function noMailbox(): PairingMailbox {
  const nobody = {
    closestNodes: [],
    destroy: () => undefined,
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.resolve({ done: true as const, value: undefined })
    })
  }
  return {
    on: () => undefined,
    removeListener: () => undefined,
    lookup: () => nobody,
    announce: () => ({ finished: () => Promise.resolve() }),
    unannounce: () => Promise.resolve(),
    mutableGet: () => Promise.resolve(null),
    // blind-pairing then goes on without; it would else turn to announcing the mailbox.
    mutablePut: () => Promise.reject(new Error('there is no mailbox'))
  }
}
