/**
 * What an index has applied is compared with the logs that are there, and entries are read.
 */
import t from 'tap'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { Sealer } from '../../src/crypto/sealer.ts'
import { encodeEntry } from '../../src/sync/entry-codec.ts'
import type { LogKey } from '../../src/sync/log.ts'
import { lostLogs, readEntry } from '../../src/sync/log-pair.ts'
import { filled, fromHex } from '../support/bytes.ts'
import { MemoryHome } from '../support/memory-home.ts'
import { openIndex } from '../support/memory-index.ts'
import { MemoryLog } from '../support/memory-log.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const RANDOM = new SeededRandom(1)
const KEYS = KeyTable.generate(RANDOM)

function sealerOf(log: LogKey): Sealer {
  const parts = { keys: KEYS, purpose: 'entry', drive: filled(32, 7), random: RANDOM } as const
  return new Sealer({ ...parts, log: fromHex(log) })
}

async function logOf(count: number, device = 'home'): Promise<MemoryLog> {
  const log = new MemoryLog({ home: new MemoryHome(device) })
  for (let index = 0; index < count; index++) {
    const header = { lamport: index + 1, time: { sec: 0, nsec: 0 }, listVersion: 0, heads: [] }
    const entry = { ...header, contentHead: undefined, operations: [] }
    const plain = encodeEntry(entry, { log: log.key, index })
    await log.append([sealerOf(log.key).seal(plain, index)], index)
  }
  return log
}

t.test('lostLogs() tells whose log lacks what the index has applied', async t => {
  const [own, remote] = [await logOf(3), await logOf(2, 'other')]
  const known = { own: [own], remote: [remote] }
  t.equal(await lostLogs(await openIndex(), known), undefined, 'an empty one fits every log')
  const cases: [MemoryLog, number, boolean, string | undefined][] = [
    [own, 3, true, undefined],
    [own, 3, false, 'own'],
    [own, 4, true, 'own'],
    [remote, 2, true, undefined],
    [remote, 2, false, 'remote'],
    [remote, 3, true, 'remote'],
    [await logOf(1, 'unknown'), 1, true, 'remote']
  ]
  for (const [log, length, isSame, expected] of cases) {
    const index = await openIndex()
    index.addLog(log.key)
    index.freeze()
    const there = await log.treeHash(Math.min(length, log.length))
    await index.write([{ log: log.key, length, treeHash: isSame ? there : filled(32, 1) }])
    t.equal(await lostLogs(index, known), expected)
  }
})

t.test('readEntry() gives an entry, undefined for damage, and throws the rest', async t => {
  const log = await logOf(2)
  log.home.damage(log.key, 1)
  const sealer = sealerOf(log.key)
  t.match(await readEntry(log, 0, sealer), { lamport: 1 })
  t.equal(await readEntry(log, 1, sealer), undefined)
  t.equal(await readEntry(log, 2, sealer), undefined, 'not there')
  t.equal(await readEntry(log, 0, sealerOf(new MemoryLog().home.newKey())), undefined)
  await log.close()
  await t.rejects(readEntry(log, 0, sealer), { code: 'CLOSED' })
})
