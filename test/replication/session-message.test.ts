/** Messages of a session: what is encoded decodes, and nothing else does any harm. */
import assert from 'node:assert/strict'
import t from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import {
  decodeSessionMessage,
  encodeSessionMessage,
  MESSAGE_HEADS_MAX,
  MESSAGE_ITEMS_MAX,
  SESSION_MESSAGE_BYTES_MAX,
  splitItems,
  type SessionMessage
} from '../../src/replication/session-message.ts'
import { logKey } from '../../src/sync/log.ts'
import { SeededRandom } from '../support/seeded-random.ts'

/** How many hostile messages are tried. */
const FUZZ_COUNT = Number(process.env['GROVE_FUZZ'] ?? 120_000)

const [low, high] = ['00'.repeat(32), 'ff'.repeat(32)].map(logKey)
assert(low !== undefined && high !== undefined)

const MESSAGES: readonly SessionMessage[] = [
  { kind: 'prove', keyId: 7, proof: new Uint8Array(32).fill(9) },
  { kind: 'hello', isLast: true, statements: [] },
  { kind: 'hello', isLast: false, statements: [Uint8Array.of(1, 2), new Uint8Array(700)] },
  { kind: 'logs', announcements: [new Uint8Array(650).fill(5)] },
  { kind: 'heads', heads: new Map() },
  {
    kind: 'heads',
    heads: new Map([
      [low, 3],
      [high, Number.MAX_SAFE_INTEGER]
    ])
  }
]

/** Refuses all but a message that encodes to the same bytes, and a CryptoError. */
function tries(bytes: Uint8Array): 'message' | 'error' {
  let message: SessionMessage
  try {
    message = decodeSessionMessage(bytes)
  } catch (error) {
    assert(error instanceof CryptoError, String(error))
    return 'error'
  }
  assert.deepEqual(Buffer.from(encodeSessionMessage(message)), Buffer.from(bytes))
  return 'message'
}

t.test('each message decodes to what was encoded', async t => {
  for (const message of MESSAGES) {
    const bytes = encodeSessionMessage(message)
    t.same(decodeSessionMessage(bytes), message, message.kind)
  }
  const heads = new Map([
    [high, 1],
    [low, 2]
  ])
  const sorted = decodeSessionMessage(encodeSessionMessage({ kind: 'heads', heads }))
  t.same(sorted.kind === 'heads' && [...sorted.heads.keys()], [low, high], 'one encoding')
})

t.test('each beginning and each continuation of a message is refused', async t => {
  for (const message of MESSAGES) {
    const bytes = encodeSessionMessage(message)
    for (let length = 0; length < bytes.length; length++)
      assert.equal(tries(bytes.subarray(0, length)), 'error')
    assert.equal(tries(Buffer.concat([bytes, Uint8Array.of(0)])), 'error')
  }
  t.pass()
})

t.test('limits', async t => {
  const heads = new Map(
    Array.from({ length: MESSAGE_HEADS_MAX + 1 }, (_, number) => [
      logKey(number.toString(16).padStart(64, '0')),
      1
    ])
  )
  t.throws(() => encodeSessionMessage({ kind: 'heads', heads }), RangeError)
  const announcements = Array.from({ length: MESSAGE_ITEMS_MAX + 1 }, () => new Uint8Array(1))
  t.throws(() => encodeSessionMessage({ kind: 'logs', announcements }), RangeError)
  const oversize = new Uint8Array(SESSION_MESSAGE_BYTES_MAX + 1)
  t.throws(() => decodeSessionMessage(oversize), { code: 'MALFORMED' })
  const many = Uint8Array.of(3, 1, 1, 0, 0)
  t.throws(() => decodeSessionMessage(many), { code: 'MALFORMED' }, '257 announcements')
  const twice = encodeSessionMessage({ kind: 'heads', heads: new Map([[low, 1]]) })
  const doubled = Buffer.concat([twice, twice.subarray(5)])
  doubled.writeUInt8(2, 1)
  t.throws(() => decodeSessionMessage(doubled), { code: 'MALFORMED' }, 'a head twice')
})

t.test('splitItems() keeps all items in order, in messages that are not too long', async t => {
  t.same(splitItems([]), [[]])
  const items = Array.from({ length: 1000 }, (_, index) => new Uint8Array(index * 60))
  const groups = splitItems(items)
  t.same(groups.flat(), items)
  for (const announcements of groups) {
    const bytes = encodeSessionMessage({ kind: 'logs', announcements })
    t.ok(bytes.length <= SESSION_MESSAGE_BYTES_MAX)
  }
})

t.test(
  `${String(FUZZ_COUNT)} hostile messages: refused, or understood to the last bit`,
  async t => {
    const random = new SeededRandom(1)
    const samples = MESSAGES.map(encodeSessionMessage)
    const counts = { message: 0, error: 0 }
    for (let count = 0; count < FUZZ_COUNT; count++) {
      const sample = samples[count % samples.length] ?? new Uint8Array(0)
      const bytes =
        count % 3 === 0 ? random.bytes(random.bytes(1)[0] ?? 0) : mutated(sample, random)
      counts[tries(bytes)]++
    }
    t.ok(counts.message > 0 && counts.error > 0, JSON.stringify(counts))
  }
)

function mutated(sample: Uint8Array, random: SeededRandom): Uint8Array {
  const bytes = sample.slice()
  for (let flips = 1 + random.integer(3); flips > 0; flips--) {
    const at = random.integer(Math.min(bytes.length, 64))
    bytes[at] = random.integer(256)
  }
  return bytes.subarray(0, random.integer(4) === 0 ? random.integer(bytes.length) : bytes.length)
}
