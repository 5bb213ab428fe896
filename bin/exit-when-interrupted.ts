/**
 * Work that may take long, cannot be stopped half-way, and may be cut off at any point: reading
 * the logs into the index. An interrupt then simply ends the process, as `kill -9` would.
 *
 * @module
 */

/** How to run such work. */
export interface Interruptible<T> {
  /** The interrupt. */
  readonly signal: AbortSignal
  /** Said before the process ends. */
  readonly say: () => void
  /** The work. */
  readonly work: () => Promise<T>
  /** Ends the process; replaced in tests. */
  readonly exit?: (code: number) => void
}

/** Does the work; an interrupt meanwhile ends the process with code 1. */
export async function exitWhenInterrupted<T>(options: Interruptible<T>): Promise<T> {
  const { signal, say, work, exit = code => process.exit(code) } = options
  const end = (): void => {
    say()
    exit(1)
  }
  if (signal.aborted) end()
  signal.addEventListener('abort', end, { once: true })
  try {
    return await work()
  } finally {
    signal.removeEventListener('abort', end)
  }
}
