/**
 * The multiplexer of a connection, proof against whatever the other end sends.
 *
 * Protomux takes errors that look like mistakes in this program (TypeError, RangeError) for such
 * and ends the process. Frames can bring them about: batches within batches, some 30 KiB in all,
 * overflow the stack, and nobody has been asked who they are by then. Here, what a frame brings
 * about ends the connection that it came on and nothing else.
 *
 * This is the home of protomux.
 *
 * @module
 */
import Protomux, { type Channel } from 'protomux'

export type { Channel }

/** What a multiplexer lets in, and whom it tells. */
export interface MuxGuard {
  /**
   * Asked about each frame before it is looked at.
   *
   * @param bytes - how long it is
   * @returns false to end the connection
   */
  readonly admits: (bytes: number) => boolean
  /** Told when the other end sent what was not admitted or cannot be handled; maybe repeatedly. */
  readonly onFault: () => void
}

/** See the module. Every channel of the connection goes through it: make it first. */
export class GuardedMux extends Protomux {
  readonly #guard: MuxGuard

  /** @param stream - a connection's stream that has no multiplexer yet */
  constructor(stream: object, guard: MuxGuard) {
    super(stream)
    this.#guard = guard
  }

  /** Makes one for whoever asks the stream for its multiplexer later. */
  static install(stream: object, guard: MuxGuard): void {
    void new GuardedMux(stream, guard)
  }

  protected override _ondata(frame: Uint8Array): void {
    if (this.#guard.admits(frame.byteLength)) super._ondata(frame)
    else this._safeDestroy()
  }

  protected override _safeDestroy(error?: Error): void {
    this.destroy(error)
    this.#guard.onFault()
  }

  protected override _warn(error: Error): void {
    this._safeDestroy(error)
  }
}
