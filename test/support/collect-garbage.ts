/**
 * Collects garbage now. Keys in locked memory are given back by the garbage collector, which does
 * not see them: whoever opens very many of them in one go has to call it.
 *
 * @module
 */
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** @returns when what was found has been given back */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  await setImmediate()
}
