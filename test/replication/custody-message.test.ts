/** Messages of custody: what is encoded decodes, and nothing else does any harm. */
import assert from 'node:assert/strict'
import t from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import {
  ANSWER_RECEIPTS_MAX,
  CUSTODY_METHODS,
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRefusal,
  encodeRequest,
  isCustodyMethod,
  REFUSAL_TEXT_BYTES_MAX,
  REQUEST_ITEMS_MAX,
  requestBytesMax,
  type CustodyAnswer,
  type CustodyMethod,
  type CustodyRequest
} from '../../src/replication/custody-message.ts'
import { rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { logKey } from '../../src/sync/log.ts'
import { filled, toHex } from '../support/bytes.ts'
import { hostileBytes } from '../support/hostile-bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)

const log = logKey('0a'.repeat(32))
const blocks = { log, window: 3, bitmap: rangeBitmap({ window: 3, from: 3080, to: 3100 }) }
const key = filled(32, 9)
const attempt = filled(16, 8)

const REQUESTS: { readonly [Method in CustodyMethod]: readonly CustodyRequest<Method>[] } = {
  hello: [
    { identity: key, drive: undefined, secret: undefined, isLast: true, statements: [] },
    {
      ...{ identity: key, drive: key, secret: attempt, isLast: false },
      statements: [filled(5, 1), filled(0, 0)]
    }
  ],
  logs: [{ announcements: [filled(600, 2)] }],
  hold: [{ blocks }],
  receipts: [{ since: 2 ** 40 }],
  challenge: [{ statement: filled(300, 1) }],
  usage: [{}],
  fetch: [{ log, index: 7, hash: key }],
  durable: [{ logs: new Map([[log, 9]]), blocks: [blocks, blocks] }],
  release: [{ statement: filled(300, 1) }],
  releases: [{ after: key }],
  mark: [{ blocks }],
  unmark: [{ attempt }],
  lock: [{ blocks, dropper: key, attempt }],
  drop: [{ attempt, locks: [filled(400, 1), filled(400, 2)] }],
  putSummary: [{ summary: filled(1000, 4) }],
  summaries: [{ after: key }],
  putLocator: [{ record: filled(900, 4) }],
  balance: [{ accepted: undefined }, { accepted: filled(200, 1) }]
}

const ANSWERS: { readonly [Method in CustodyMethod]: readonly CustodyAnswer<Method>[] } = {
  hello: [undefined, { keeper: filled(300, 1), drive: key }],
  logs: [{}],
  hold: [{ receipt: filled(500, 1) }],
  receipts: [
    { receipts: [], isLast: true },
    { receipts: [filled(500, 1)], isLast: false }
  ],
  challenge: [
    { id: attempt, answer: { kind: 'hash', hash: key } },
    { id: attempt, answer: { kind: 'blocks', blocks: [filled(70, 1), filled(0, 0)] } },
    { id: attempt, answer: { kind: 'missing', indexes: [1, 2] } }
  ],
  usage: [{ quotaBytes: 1, usedBytes: 2, onlineSec: 3, sequence: 4, mibSeconds: 5 }],
  fetch: [{ block: undefined }, { block: filled(90, 2) }],
  durable: [{}],
  release: [{}],
  releases: [undefined, { statement: filled(300, 1), receivedMs: 2 ** 41 }],
  mark: [{ attempt }],
  unmark: [{}],
  lock: [{ statement: filled(400, 3) }],
  drop: [{ receipt: filled(500, 1) }],
  putSummary: [{}],
  summaries: [undefined, { device: key, summary: filled(60, 1) }],
  putLocator: [{}],
  balance: [
    { proposal: filled(200, 1), settled: undefined },
    { proposal: filled(200, 1), settled: { balance: filled(200, 2), accepted: filled(99, 3) } }
  ]
}

t.test('each request and each answer decodes to what was encoded', async t => {
  for (const method of CUSTODY_METHODS) {
    for (const request of REQUESTS[method])
      t.same(decodeRequest(method, encodeRequest(method, request)), request, method)
    for (const answer of ANSWERS[method])
      t.same(decodeAnswer(method, encodeAnswer(method, answer)), { answer }, method)
  }
  t.ok(isCustodyMethod('hold'))
  for (const other of ['', 'toString', 'constructor', '__proto__']) t.notOk(isCustodyMethod(other))
})

t.test('a refusal carries its code and a text that can be shown', async t => {
  for (const refusal of ['REFUSED', 'FULL', 'IMBALANCE', 'UNAVAILABLE', 'KEEP_LOCKED'] as const)
    t.same(decodeAnswer('hold', encodeRefusal(refusal, 'why')), { refusal, text: 'why' })
  t.match(decodeAnswer('usage', encodeRefusal('FULL', 'a\u001b[1m\nb')), { text: 'a?[1m?b' })
  const long = decodeAnswer('usage', encodeRefusal('FULL', 'x'.repeat(1000)))
  t.match(long, { text: 'x'.repeat(REFUSAL_TEXT_BYTES_MAX) })
  const hostile = encodeRefusal('FULL', 'abc')
  hostile[6] = 0x1b
  t.throws(() => decodeAnswer('usage', hostile), { code: 'MALFORMED' })
  t.throws(() => decodeAnswer('usage', Uint8Array.of(1, 9, 0, 0, 0, 0)), { code: 'MALFORMED' })
})

t.test('versions, beginnings, continuations and limits', async t => {
  for (const method of CUSTODY_METHODS) {
    for (const request of REQUESTS[method]) {
      const bytes = encodeRequest(method, request)
      t.ok(bytes.length <= requestBytesMax(method))
      for (let length = 0; length < Math.min(bytes.length, 400); length++)
        assert.throws(() => decodeRequest(method, bytes.subarray(0, length)), CryptoError)
      const longer = Buffer.concat([bytes, Uint8Array.of(0)])
      assert.throws(() => decodeRequest(method, longer), CryptoError)
      const newer = Buffer.concat([Uint8Array.of(2), bytes.subarray(1)])
      assert.throws(() => decodeRequest(method, newer), { code: 'NEWER_FORMAT' })
    }
    const oversize = new Uint8Array(requestBytesMax(method) + 1).fill(1)
    assert.throws(() => decodeRequest(method, oversize), { code: 'MALFORMED' })
  }
  const statements = Array.from({ length: REQUEST_ITEMS_MAX + 1 }, () => filled(1, 1))
  t.throws(() => encodeRequest('logs', { announcements: statements }), RangeError)
  const large = Array.from({ length: 5 }, () => filled(60_000, 1))
  t.throws(() => encodeRequest('logs', { announcements: large }), RangeError)
  const receipts = Array.from({ length: ANSWER_RECEIPTS_MAX + 1 }, () => filled(1, 1))
  t.throws(() => encodeAnswer('receipts', { receipts, isLast: true }), RangeError)
})

/** Refuses all but what encodes to the same bytes, and a CryptoError. */
function tries(decode: () => Uint8Array, bytes: Uint8Array): 'understood' | 'refused' {
  try {
    assert.equal(toHex(decode()), toHex(bytes), 'a second encoding')
    return 'understood'
  } catch (error) {
    assert(error instanceof CryptoError, String(error))
    return 'refused'
  }
}

function reanswered(method: CustodyMethod, bytes: Uint8Array): Uint8Array {
  const outcome = decodeAnswer(method, bytes)
  return 'answer' in outcome
    ? encodeAnswer(method, outcome.answer)
    : encodeRefusal(outcome.refusal, outcome.text)
}

t.test(`${FUZZ_INPUTS} hostile requests and as many answers (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  const counts = { understood: 0, refused: 0 }
  const genuine = CUSTODY_METHODS.map(method => ({
    method,
    requests: REQUESTS[method].map(request => encodeRequest(method, request)),
    answers: [
      ...ANSWERS[method].map(answer => encodeAnswer(method, answer)),
      encodeRefusal('FULL', 'no room')
    ]
  }))
  for (let count = 0; count < FUZZ_INPUTS; count++) {
    const row = genuine[count % genuine.length]
    assert(row !== undefined)
    const { method } = row
    const request = hostileBytes(random, row.requests)
    counts[tries(() => encodeRequest(method, decodeRequest(method, request)), request)]++
    const answer = hostileBytes(random, row.answers)
    counts[tries(() => reanswered(method, answer), answer)]++
  }
  t.ok(counts.understood > FUZZ_INPUTS / 50, JSON.stringify(counts))
  t.ok(counts.refused > FUZZ_INPUTS / 50, JSON.stringify(counts))
})
