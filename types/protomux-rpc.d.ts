/** The part of protomux-rpc 1.10 that `src/replication/custody-rpc.ts` calls. */
declare module 'protomux-rpc' {
  /** A request as it came. */
  export interface RpcRequest {
    /** Its number; 0 when no answer is wanted. */
    readonly id: number
    /** What is asked for. */
    readonly method: string
    /** A view of the frame that it came in. */
    readonly value: Uint8Array
  }

  export default class ProtomuxRPC {
    /**
     * Opens its channel on the multiplexer of the stream.
     *
     * @param options.valueEncoding - null to leave requests and answers as the bytes they are
     * @throws {Error} when the stream is gone or has such a channel already
     */
    constructor(
      stream: object,
      options: { readonly protocol: string; readonly valueEncoding: null }
    )
    /** The multiplexer; drained unless its stream should not be written to. */
    readonly mux: { readonly drained: boolean }
    /** Whether the channel was closed, by either end. */
    readonly closed: boolean
    /** Calls when the channel was closed, by either end. */
    on(event: 'close', listener: () => void): this
    /** Says what answers a method. The handler must not reject. */
    respond(method: string, handler: (value: Uint8Array) => Promise<Uint8Array>): this
    /** Asks; rejects when the channel is closed or the other end answers with an error. */
    request(method: string, value: Uint8Array): Promise<Uint8Array>
    /** Closes the channel; requests under way are rejected. Idempotent. */
    destroy(error?: Error): void
    /** Called with each request. */
    protected _onrequest(request: RpcRequest): Promise<void> | void
  }
}
