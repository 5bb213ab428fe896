/**
 * The oracle itself: one device equals a POSIX tree; several devices lose nothing, agree in
 * whatever order they learn, and make neither cycles nor orphans; a broken rule is noticed.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { randomCommand } from '../support/model-command.ts'
import { makeDevices, problemsOf, randomHistory } from '../support/model-check.ts'
import { dump, treeOf } from '../support/model.ts'
import { posixText, PosixTree } from '../support/posix-tree.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const RUNS = 300
const COMMANDS = 25
const STEPS = 24

t.test(`one device is a POSIX tree, step by step (${RUNS} histories)`, async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const random = new SeededRandom(seed)
    const [device] = makeDevices(1)
    const posix = new PosixTree()
    let number = 0
    for (let i = 0; i < COMMANDS; i++) {
      const command = device && randomCommand(device.tree, { random, next: () => ++number })
      if (!command) continue
      device.execute(command)
      posix.execute(command)
      assert.equal(posixText(device.tree), posix.dump(), `seed ${seed}, command ${i}`)
      if (random.integer(3) === 0) device.commit()
    }
  }
})

t.test(`three devices (${RUNS} histories)`, async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const history = randomHistory({ seed, deviceCount: 3, steps: STEPS })
    const tree = treeOf(history.entries)
    assert.deepEqual(problemsOf(history, tree), [], `seed ${seed}`)
    assert.equal(dump(treeOf(history.entries.toReversed())), dump(tree), `seed ${seed}`)
  }
})
