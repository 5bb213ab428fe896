/**
 * Turns what a callback is told into something to iterate, at the pace of whoever iterates.
 *
 * @module
 */

/** How many events wait before {@link EventQueue.put} makes the producer wait. */
export const EVENTS_WAITING_MAX = 256

/** A bounded queue of one producer and one consumer. */
export class EventQueue<T> implements AsyncIterable<T> {
  readonly #waiting: T[] = []
  #ended = false
  #failure: Error | undefined
  #wakeConsumer: (() => void) | undefined
  #wakeProducer: (() => void) | undefined

  /** Adds an event; resolves when there is room for the next one. */
  async put(event: T): Promise<void> {
    if (this.#ended) return
    this.#waiting.push(event)
    this.#wakeConsumer?.()
    if (this.#waiting.length < EVENTS_WAITING_MAX) return
    await new Promise<void>(resolve => {
      this.#wakeProducer = resolve
    })
  }

  /** Adds an event if there is room: for what may be missed. */
  offer(event: T): void {
    if (this.#ended || this.#waiting.length >= EVENTS_WAITING_MAX) return
    this.#waiting.push(event)
    this.#wakeConsumer?.()
  }

  /** Says that nothing more comes; with a reason if the consumer is to fail. */
  end(failure?: Error): void {
    this.#ended = true
    this.#failure = failure
    this.#wakeConsumer?.()
    this.#wakeProducer?.()
  }

  /** Yields events until the end; a consumer that leaves lets the producer run freely. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        while (this.#waiting.length > 0) {
          const [event] = this.#waiting.splice(0, 1) as [T]
          this.#wakeProducer?.()
          yield event
        }
        if (this.#ended) break
        await new Promise<void>(resolve => {
          this.#wakeConsumer = resolve
        })
      }
      if (this.#failure !== undefined) throw this.#failure
    } finally {
      this.end(this.#failure)
    }
  }
}
