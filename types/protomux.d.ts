/** The part of protomux 3.12 that `src/replication/guarded-mux.ts` calls. */
declare module 'protomux' {
  /** One kind of message of a channel. */
  export interface ChannelMessage {
    /** Sends; false when the stream is full. The bytes are copied. */
    send(message: Uint8Array): boolean
  }

  /** A channel between both ends; opens when both have made it. */
  export interface Channel {
    /** Whether either end closed it. */
    readonly closed: boolean
    /** Its kinds of messages, in order. */
    readonly messages: readonly ChannelMessage[]
    /** Opens it. */
    open(): void
    /** Closes it. */
    close(): void
  }

  export default class Protomux {
    /** Makes a multiplexer and, where the stream has none, the stream's own. */
    constructor(stream: object)
    /** The multiplexer of a stream, made if it has none. */
    static from(stream: object): Protomux
    /** Null when there is one already, or the stream is gone. */
    createChannel(options: {
      readonly protocol: string
      readonly messages: readonly {
        readonly onmessage: (message: Uint8Array) => void
      }[]
      readonly onopen?: () => void
      readonly onclose?: () => void
    }): Channel | null
    /** Closes the stream. */
    destroy(error?: Error): void
    /** Takes a frame of the other end. */
    protected _ondata(frame: Uint8Array): void
    /** Called with what a frame brought about: rethrows what looks like a programmer's mistake. */
    protected _safeDestroy(error: Error): void
    /** The same for a channel that is closed already. */
    protected _warn(error: Error): void
  }
}
