/**
 * Gives way within long work.
 *
 * @module
 */

/** Timers, the network and the disk have their turn before the promise resolves. */
export function yieldToEventLoop(): Promise<void> {
  return new Promise(resolve => {
    setImmediate(resolve)
  })
}
