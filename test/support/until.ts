/**
 * Waiting in tests of things that have no promise of their own.
 *
 * @module
 */

/** After so long a test gives up, in milliseconds. */
const PATIENCE_MS = 20_000

/** Waits until something is so; looks again whenever the event loop comes round. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`waited in vain for ${what}`)
    await new Promise(resolve => setImmediate(resolve))
  }
}
