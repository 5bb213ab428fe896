/** What is wrong with sealed bytes is said in the words of the model. */
import t from 'tap'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { Sealer } from '../../src/crypto/sealer.ts'
import { openBlock } from '../../src/sync/open-block.ts'
import { filled, flipped, replaced } from '../support/bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const random = new SeededRandom(1)
const drive = filled(32, 1)
const log = filled(32, 2)

function sealer(keys: KeyTable): Sealer {
  return new Sealer({ keys, purpose: 'block', drive, log, random })
}

t.test('openBlock() gives what was sealed', async t => {
  const blocks = sealer(KeyTable.generate(random))
  const content = random.bytes(1000)
  t.strictSame(openBlock(blocks, blocks.seal(content, 7), 7), content)
})

t.test('openBlock() says DAMAGED, and NEWER_FORMAT only for what is newer', async t => {
  const blocks = sealer(KeyTable.generate(random))
  const sealed = blocks.seal(random.bytes(100), 7)
  const damaged = {
    'a flipped bit': flipped(sealed, 60),
    'too few bytes': sealed.subarray(0, 20),
    'no version': replaced(sealed, 0, 0),
    nothing: new Uint8Array(0)
  }
  for (const [what, bytes] of Object.entries(damaged)) {
    t.throws(() => openBlock(blocks, bytes, 7), { name: 'SyncError', code: 'DAMAGED' }, what)
  }
  t.throws(() => openBlock(blocks, sealed, 8), { code: 'DAMAGED' }, 'at another place')
  const stranger = sealer(KeyTable.generate(new SeededRandom(2)))
  t.throws(() => openBlock(stranger, sealed, 7), { code: 'DAMAGED' }, 'under another key')
  for (const at of [0, 1, 2]) {
    t.throws(() => openBlock(blocks, replaced(sealed, at, 9), 7), { code: 'NEWER_FORMAT' })
  }
})

t.test('a mistake of the caller is no damage', async t => {
  const blocks = sealer(KeyTable.generate(random))
  t.throws(() => openBlock(blocks, blocks.seal(filled(1, 1), 0), -1), RangeError)
})
