/** What keeps the name of a directory does not depend on the order in which it is heard of. */
import t from 'tap'
import { newDirectory, withNaming, withRemoval } from '../../src/sync/directory-state.ts'
import type { OperationId } from '../../src/sync/operation.ts'
import { DEVICE_LOGS } from '../support/two-device-index.ts'

const [A, B] = DEVICE_LOGS
const idOf = (log: OperationId['log'], index: number, number = 0): OperationId => ({
  ...{ log, index, number }
})
/** Within a log everyone saw what came before; across logs what is listed. */
function sawOf(pairs: readonly (readonly [OperationId, OperationId])[]) {
  const saw = (later: OperationId, earlier: OperationId): boolean =>
    later.log === earlier.log
      ? later.index > earlier.index ||
        (later.index === earlier.index && later.number > earlier.number)
      : pairs.some(([left, right]) => left === later && right === earlier)
  return { saw, compare: () => 0 }
}

t.test('a removal covers what its author saw, and a use that it did not see keeps', async t => {
  const [made, moved, removed] = [idOf(A, 0), idOf(A, 1), idOf(B, 0)]
  const causality = sawOf([[removed, made]])
  const state = newDirectory(made, undefined)
  const first = withRemoval(withNaming(state, moved, causality), removed, causality)
  const second = withNaming(withRemoval(state, removed, causality), moved, causality)
  t.strictSame(first.namings, [moved])
  t.strictSame(second, first)
  t.strictSame(withRemoval(state, removed, causality).namings, [])
  t.strictSame(withNaming(state, moved, causality).namings, [moved], 'the newest says it all')
})

t.test('a removal covers all of its own entry, also what comes later in it', async t => {
  const causality = sawOf([])
  const state = newDirectory(idOf(A, 0), undefined)
  const removed = withRemoval(state, idOf(A, 1, 1), causality)
  t.strictSame(withNaming(removed, idOf(A, 1, 2), causality).namings, [])
  t.strictSame(withNaming(removed, idOf(A, 2, 0), causality).namings, [idOf(A, 2, 0)])
})
