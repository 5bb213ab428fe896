/**
 * The network as replication sees it: authenticated connections to other devices.
 *
 * A device is one network key pair, and two devices share at most one connection. Everything they
 * say to each other is multiplexed over its stream. Both ends proved their network keys to each
 * other (Noise) before a connection is handed out; whether that key belongs to the drive is the
 * business of whoever takes the connection.
 *
 * Devices find each other in two ways: by a topic that all of them join (secret, derived from the
 * drive), and by network key ({@link PeerNetwork.connectTo}), which keeps trying for ever.
 *
 * @module
 */

/** How many devices and holders may be wanted ({@link PeerNetwork.connectTo}) at a time. */
export const WANTED_PEERS_MAX = 112

/** How many connections to devices that are not wanted may be open at a time. */
export const STRANGERS_MAX = 16

/** How many connections to devices that are known but not wanted may be open at a time. */
export const GUESTS_MAX = 512

/** How many connections one device has at most. */
export const PEERS_MAX = WANTED_PEERS_MAX + GUESTS_MAX + STRANGERS_MAX

/** How many connections we try to open at a time; more wait for their turn. */
export const PENDING_CONNECTIONS_MAX = 16

/** How many topics one device joins at most. */
export const TOPICS_MAX = 64

/** The first wait before a wanted peer is tried again, in milliseconds. */
export const RECONNECT_DELAY_MS_MIN = 250

/** The longest wait before a wanted peer is tried again, in milliseconds. */
export const RECONNECT_DELAY_MS_MAX = 15_000

/** How long the device that is not to open the connection leaves it to the other, in milliseconds. */
export const RECONNECT_YIELD_MS = 1_000

/** A connection that lasted so long starts the waits afresh when it is lost, in milliseconds. */
export const CONNECTION_LASTED_MS = 5_000

/** How long an end is silent before it sends a keep-alive, in milliseconds. */
export const KEEP_ALIVE_MS = 2_000

/**
 * A connection on which nothing came for so long is dead and is closed, in milliseconds. Until then
 * who is gone counts as there: who reads waits for it, and what it kept is not copied anew.
 */
export const SILENCE_MS_MAX = 6_000

/**
 * The encrypted stream of a connection: a NoiseSecretStream of \@hyperswarm/secret-stream, which is
 * what Protomux.from and a core's `replicate` take. One write is one `data` event at the other end;
 * a message has at most 16 MiB - 18 bytes.
 */
export interface SecretStream {
  /** Whether this end opened the connection. */
  readonly isInitiator: boolean
  /** Our network key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Theirs, 32 bytes; they proved to have its secret half. */
  readonly remotePublicKey: Uint8Array
  /** The same 64 bytes at both ends, and of this connection only. */
  readonly handshakeHash: Uint8Array
  /** Whether it is closing or closed. */
  readonly destroying: boolean
  /**
   * Sends one message.
   *
   * @param data - the stream's from now on: it must not be changed afterwards
   * @returns false when the caller should wait for `drain`
   */
  write(data: Uint8Array): boolean
  /** Ends this side; the connection closes when both sides have ended. */
  end(): void
  /** Closes both sides at once; what was not sent yet is lost. */
  destroy(error?: Error): void
  /** Calls with bytes that arrived. */
  on(event: 'data', listener: (data: Uint8Array) => void): this
  /** Calls when there is room again, at the other side's end, when it is closed. */
  on(event: 'drain' | 'end' | 'close', listener: () => void): this
  /** Calls when it broke. */
  on(event: 'error', listener: (error: Error) => void): this
}

/** One open connection to another device. */
export interface PeerConnection {
  /** The other device's network key, 32 bytes. */
  readonly remotePublicKey: Uint8Array
  /** Whether this device opened it. */
  readonly isInitiator: boolean
  /** The same 64 bytes at both ends, and of this connection only. */
  readonly handshakeHash: Uint8Array
  /** What the devices talk over. It has a listener for errors: they end in {@link closed}. */
  readonly stream: SecretStream
  /** Resolves once the connection is gone, whoever closed it and why. Never rejects. */
  readonly closed: Promise<void>
  /** The smoothed round trip in milliseconds; 0 while it is not known. */
  readonly rttMs: number
  /** Closes it at once; a wanted peer will be tried again. Idempotent; resolves as {@link closed}. */
  close(): Promise<void>
}

/** Finds other devices and keeps connections to them. */
export interface PeerNetwork extends AsyncDisposable {
  /** This device's network key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** The open connections, at most one for each remote key. */
  readonly connections: readonly PeerConnection[]
  /**
   * How many connections were turned away: by {@link mayConnect}, or because too many strangers
   * were connected or knocked at a time.
   */
  readonly refused: number
  /**
   * Told of each connection when it is open. Set it, and {@link mayConnect}, before the first
   * {@link join} or {@link connectTo}: until then the network neither listens nor sends.
   */
  onConnection: (connection: PeerConnection) => void
  /**
   * Asked, in one tick, before anything is answered to a device that wants to connect, and before
   * one that was found by topic is connected to. A refusal holds for this attempt only. Devices
   * passed to {@link connectTo} are asked about too. Everyone may unless it is set.
   */
  mayConnect: (publicKey: Uint8Array) => boolean
  /**
   * Announces this device under a topic and connects to all that are found there, now and for as
   * long as the topic is joined. Idempotent.
   *
   * @param topic - 32 bytes, secret: who knows it sees who is there
   * @throws {RangeError} when more than {@link TOPICS_MAX} are joined
   */
  join(topic: Uint8Array): void
  /** Undoes {@link join}; connections stay. */
  leave(topic: Uint8Array): void
  /**
   * Keeps a connection to this device from now on: whenever there is none, it is tried again after
   * {@link RECONNECT_DELAY_MS_MIN}, doubling to {@link RECONNECT_DELAY_MS_MAX}, with jitter.
   * Idempotent. Its own key is ignored.
   *
   * @throws {RangeError} when more than {@link WANTED_PEERS_MAX} are wanted
   */
  connectTo(publicKey: Uint8Array): void
  /** Undoes {@link connectTo}; a connection that is open stays. */
  disconnectFrom(publicKey: Uint8Array): void
  /** Closes all connections, withdraws announcements and waits. Idempotent. */
  close(): Promise<void>
}
