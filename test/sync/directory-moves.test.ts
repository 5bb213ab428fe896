/** Moves that come in any order leave directories where replaying all of them in order does. */
import assert from 'node:assert/strict'
import t from 'tap'
import { RowSealer } from '../../src/crypto/row-sealer.ts'
import { DirectoryMoves, type DirectoryMove } from '../../src/sync/directory-moves.ts'
import type { Placement } from '../../src/sync/directory-state.ts'
import { EntryCausality } from '../../src/sync/entry-causality.ts'
import { logKey } from '../../src/sync/log.ts'
import { LogNumbers } from '../../src/sync/log-numbers.ts'
import type { Name } from '../../src/sync/operation.ts'
import { TableSet } from '../../src/sync/table.ts'
import { filled } from '../support/bytes.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const RUNS = 300
const MOVES = 25
const DIRECTORIES = 6
const ROOT = 1
const LOGS = ['a1', 'b1', 'c1'].map(digits => logKey(digits.repeat(32)))
const TIME = { sec: 0, nsec: 0 }
const sealer = new RowSealer({ key: filled(32, 3), random: new SeededRandom(2) })

/** Every directory as it was made: in the root. */
function madePlaces(): Map<number, Placement> {
  const by = { log: LOGS[0] ?? assert.fail(), index: 0, number: 0 }
  const places = new Map<number, Placement>()
  for (let ino = ROOT + 1; ino <= ROOT + DIRECTORIES; ino++) {
    places.set(ino, { parent: ROOT, name: `${ino}` as Name, by })
  }
  return places
}

/** Three devices that do not hear of each other: every order of their moves can come. */
function randomMoves(random: SeededRandom): DirectoryMove[] {
  const lengths = LOGS.map(() => 1)
  return Array.from({ length: MOVES }, (_, at) => {
    const device = random.integer(LOGS.length)
    const index = lengths[device] ?? 1
    if (random.integer(2) === 0) lengths[device] = index + 1
    const by = { log: LOGS[device] ?? assert.fail(), index, number: at }
    const ino = ROOT + 1 + random.integer(DIRECTORIES)
    const parent = ROOT + random.integer(DIRECTORIES + 1)
    return { ino, place: { parent, name: `${at}` as Name, by }, sequence: random.integer(2) }
  })
}

function replayed(moves: readonly DirectoryMove[], compare: Compare): Map<number, Placement> {
  const places = madePlaces()
  for (const { ino, place } of moves.toSorted(compare)) {
    let at: number | undefined = place.parent
    while (at !== undefined && at !== ino) at = places.get(at)?.parent
    if (at !== ino) places.set(ino, place)
  }
  return places
}

type Compare = (left: DirectoryMove, right: DirectoryMove) => number

t.test(`the outcome is that of a replay of all (${RUNS} histories)`, async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const random = new SeededRandom(seed)
    const logs = new LogNumbers()
    for (const log of LOGS) logs.add(log)
    const store = new MemoryKeyValueStore()
    let tables = new TableSet({ store, sealer })
    const causality = new EntryCausality(tables, logs)
    const places = madePlaces()
    const placeOf = (ino: number) => places.get(ino)
    let moves = new DirectoryMoves(tables, logs, { causality, placeOf })
    const waiting = randomMoves(random)
    for (const { place } of waiting) {
      const { log, index } = place.by
      // Lamports that interleave the devices and at times are equal.
      const lamport = 1 + index * 2 + (log === LOGS[0] ? 1 : 0)
      causality.record({ log, index, lamport, time: TIME, seen: new Map() })
    }
    const compare: Compare = (left, right) =>
      causality.compare(left.place.by, right.place.by) || left.sequence - right.sequence
    const done: DirectoryMove[] = []
    while (waiting.length > 0) {
      for (let count = 1 + random.integer(3); count > 0 && waiting.length > 0; count--) {
        const [move = assert.fail()] = waiting.splice(random.integer(waiting.length), 1)
        moves.add(move)
        done.push(move)
      }
      assert.ok(moves.isDirty)
      for (const [ino, place] of moves.replay()) places.set(ino, place)
      assert.ok(!moves.isDirty)
      assert.deepEqual(places, replayed(done, compare), `seed ${seed}, ${done.length} moves`)
      if (random.integer(4) > 0) continue
      tables.freeze()
      await tables.write()
      tables = new TableSet({ store, sealer })
      moves = new DirectoryMoves(tables, logs, { causality, placeOf })
    }
  }
})
