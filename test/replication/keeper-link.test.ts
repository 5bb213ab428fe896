/** A keeper at the other end of a real stream; and one that lies. */
import t, { type Test } from 'tap'
import {
  balanceHash,
  openBalance,
  signBalance,
  signBalanceAccepted,
  type BalanceContent
} from '../../src/crypto/balance.ts'
import { signKeepLock } from '../../src/crypto/keep-lock.ts'
import { signKeeperStatement } from '../../src/crypto/keeper-statement.ts'
import { signReceipt, type ReceiptContent } from '../../src/crypto/receipt.ts'
import { blake2b, signingKeyPair } from '../../src/crypto/sodium.ts'
import { NO_PREVIOUS } from '../../src/crypto/statement.ts'
import {
  encodeAnswer,
  encodeRefusal,
  type CustodyAnswer,
  type CustodyMethod
} from '../../src/replication/custody-message.ts'
import {
  CALL_MS_MAX,
  greetKeeper,
  KeeperLink,
  type SettledBalance
} from '../../src/replication/keeper-link.ts'
import type { PeerConnection } from '../../src/replication/peer-network.ts'
import { emptyBitmap, rangeBitmap, type BlockSet } from '../../src/sync/block-bitmap.ts'
import { blocksOf, holderLinkSuite, logOf } from '../suites/holder-link-suite.ts'
import { filled, flipped } from '../support/bytes.ts'
import { CustodyStage } from '../support/custody-stage.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

async function stage(t: Test): Promise<CustodyStage> {
  const made = await CustodyStage.open()
  t.teardown(() => made.close())
  return made
}

holderLinkSuite(t, 'KeeperLink', async t => {
  const made = await stage(t)
  const { link, greeted } = await made.admit()
  return {
    link,
    source: made.source,
    device: made.device,
    keeper: greeted.signer,
    identity: made.drive.identityKeys,
    drive: made.drive.drive,
    damage: (log, index) => made.kept.damage(log, index),
    setQuota: bytes => made.keeper.setQuota(made.drive.identity, bytes),
    locators: made.locators
  }
})

t.test('greetKeeper() gives the word of the keeper', async t => {
  const made = await stage(t)
  const { greeted } = await made.admit(5000)
  t.match(greeted, { name: 'attic', quotaBytes: 5000, usedBytes: 0, listVersion: 1 })
  t.same(greeted.signer, made.keys.signing.publicKey)
  t.same(greeted.drive, made.drive.drive)
  const unknown = await made.link(made.device, { drive: new Uint8Array(0) }).catch(String)
  t.match(unknown, /32/, 'no drive at all is no drive of zero bytes')
  await t.rejects(made.link(made.device, { keeper: filled(32, 1) }), { code: 'BAD_ANSWER' })
})

t.test('settleBalance() ends with what both signed', async t => {
  const made = await stage(t)
  const { link, greeted } = await made.admit()
  t.equal(await link.settleBalance(() => false), undefined, 'nobody accepted')
  const first = await link.settleBalance(() => true)
  t.match(openBalance(first?.balance ?? filled(0, 0)), { keeper: greeted.signer, sequence: 1 })
  t.same(await link.settleBalance(() => false), first, 'the last that both signed')
  const second = await link.settleBalance(({ previous }) => {
    t.same(previous, balanceHash(first?.balance ?? filled(0, 0)))
    return true
  })
  t.equal(openBalance(second?.balance ?? filled(0, 0)).sequence, 2)
})

const keyPair = signingKeyPair(filled(32, 1))
const stranger = signingKeyPair(filled(32, 2))
const keeper = keyPair.publicKey
const identity = filled(32, 3)
const drive = filled(32, 4)
const log = logOf('a')

const honest: ReceiptContent = {
  ...{ sequence: 5, previous: NO_PREVIOUS, identity, drive, machine: filled(16, 1) },
  ...{ log: Buffer.from(log, 'hex'), length: 10, treeHash: filled(32, 5), window: 0 },
  ...{ bitmap: rangeBitmap({ window: 0, from: 0, to: 5 }), bytes: 9, timeMs: 1, onlineSec: 1 }
}
const receipt = (change: Partial<ReceiptContent> = {}): Uint8Array =>
  signReceipt({ ...honest, ...change }, keyPair)

interface Told {
  readonly link: KeeperLink
  readonly granted: BlockSet[]
  readonly withdrawn: BlockSet[]
  /** What is on its way unasked. */
  readonly pushed: BlockSet[]
  readonly clock: VirtualClock
}

/** A link to a keeper that says what it is told to. */
function told(answer: () => Promise<Uint8Array>): Told {
  const [granted, withdrawn, pushed]: [BlockSet[], BlockSet[], BlockSet[]] = [[], [], []]
  const clock = new VirtualClock()
  const link = new KeeperLink({
    rpc: { ask: answer },
    ...{ keeper, identity, drive, clock },
    keyPair: signingKeyPair(filled(32, 6)),
    random: { bytes: count => filled(count, 7) },
    uploads: {
      grant: blocks => granted.push(blocks),
      withdraw: blocks => withdrawn.push(blocks),
      push: blocks => {
        pushed.push(...blocks)
        return { sent: Promise.resolve(), end: () => void pushed.splice(0) }
      }
    }
  })
  return { link, granted, withdrawn, pushed, clock }
}

function says<Method extends CustodyMethod>(
  method: Method,
  answer: CustodyAnswer<Method>
): KeeperLink {
  return told(() => Promise.resolve(encodeAnswer(method, answer))).link
}

t.test(
  'durable() has what it asks for on its way first, and ends that when it is answered',
  async t => {
    let during: readonly BlockSet[] = []
    const one = told(async () => {
      during = [...one.pushed]
      return encodeAnswer('durable', {})
    })
    const blocks = blocksOf(log, 1, 3)
    await one.link.durable({ logs: new Map(), blocks: [blocks] })
    t.same([during, one.pushed, one.withdrawn], [[blocks], [], [blocks]])
  }
)

t.test('hold() takes only the receipt that was asked for', async t => {
  const blocks = blocksOf(log, 1, 3)
  t.equal((await says('hold', { receipt: receipt() }).hold(blocks)).sequence, 5)
  const lies: Record<string, Uint8Array> = {
    'of another signer': signReceipt(honest, stranger),
    'of another person': receipt({ identity: filled(32, 9) }),
    'of another drive': receipt({ drive: filled(32, 9) }),
    'of another log': receipt({ log: filled(32, 9) }),
    'of another window': receipt({ window: 1 }),
    'of fewer blocks': receipt({ bitmap: rangeBitmap({ window: 0, from: 1, to: 2 }) }),
    'of a log that is shorter than its blocks': receipt({ length: 4 }),
    forged: flipped(receipt(), 200),
    'no receipt': filled(60, 1)
  }
  for (const [what, bytes] of Object.entries(lies))
    await t.rejects(says('hold', { receipt: bytes }).hold(blocks), { code: 'BAD_ANSWER' }, what)
})

t.test('blocks may be had while they are held and no longer', async t => {
  const blocks = blocksOf(log, 1, 3)
  let during: unknown
  const one = told(async () => {
    during = [one.granted.length, one.withdrawn.length]
    return Promise.resolve(encodeRefusal('FULL', 'no room'))
  })
  await t.rejects(one.link.hold(blocks), { code: 'FULL', message: /no room/ })
  t.same([during, one.granted, one.withdrawn], [[1, 0], [blocks], [blocks]])
})

t.test('blocks that another hold waits for stay open', async t => {
  const answers: ((bytes: Uint8Array) => void)[] = []
  const one = told(() => new Promise(resolve => answers.push(resolve)))
  const [first, second] = [blocksOf(log, 0, 3), blocksOf(log, 2, 5)]
  const held = [one.link.hold(first), one.link.durable({ logs: new Map(), blocks: [second] })]
  answers[0]?.(encodeRefusal('FULL', 'no room'))
  await t.rejects(Promise.all(held.slice(0, 1)), { code: 'FULL' })
  t.same(one.withdrawn, [blocksOf(log, 0, 2)])
  answers[1]?.(encodeAnswer('durable', {}))
  await held[1]
  t.same(one.withdrawn.at(-1), second)
})

t.test('receipts() refuses what is out of order, without end, or of others', async t => {
  const lie = (receipts: Uint8Array[], isLast = true): KeeperLink =>
    says('receipts', { receipts, isLast })
  t.equal((await lie([receipt()]).receipts(4)).length, 1)
  const { code } = { code: 'BAD_ANSWER' }
  await t.rejects(lie([receipt()]).receipts(5), { code }, 'an old one')
  await t.rejects(lie([receipt(), receipt()]).receipts(0), { code }, 'one twice')
  await t.rejects(lie([], false).receipts(0), { code }, 'none, and more')
  await t.rejects(lie([receipt()], false).receipts(0), { code }, 'the same page again')
  await t.rejects(lie([signReceipt(honest, stranger)]).receipts(0), { code }, "a stranger's")
})

t.test('challenge() refuses answers to other challenges, and of other kinds', async t => {
  const id = filled(16, 7)
  const hash = { kind: 'hash', hash: filled(32, 1) } as const
  const audit = { log, indexes: [1, 2], mode: 'hash' } as const
  const ask = (answer: CustodyAnswer<'challenge'>): Promise<unknown> =>
    says('challenge', answer).challenge(audit)
  t.match(await ask({ id, answer: hash }), { kind: 'hash', nonce: filled(32, 7) })
  const code = 'BAD_ANSWER'
  await t.rejects(ask({ id: filled(16, 1), answer: hash }), { code })
  const one = filled(9, 1)
  await t.rejects(ask({ id, answer: { kind: 'blocks', blocks: [one, one] } }), { code })
  await t.rejects(ask({ id, answer: { kind: 'missing', indexes: [] } }), { code })
  await t.rejects(ask({ id, answer: { kind: 'missing', indexes: [3] } }), { code })
  const few = says('challenge', { id, answer: { kind: 'blocks', blocks: [one] } })
  await t.rejects(few.challenge({ ...audit, mode: 'blocks' }), { code })
})

t.test('fetch() refuses another block', async t => {
  const block = { log, index: 1, hash: filled(32, 1) }
  await t.rejects(says('fetch', { block: filled(9, 1) }).fetch(block), { code: 'BAD_ANSWER' })
})

t.test('lock() takes only the lock that was asked for', async t => {
  const attempt = filled(16, 1)
  const dropper = filled(32, 8)
  const { window, bitmap } = blocksOf(log, 0, 2)
  const bytes: Uint8Array = Buffer.from(log, 'hex')
  const content = { dropper, attempt, log: bytes, window, bitmap }
  const times = { grantedMs: 1, expiresMs: 2 }
  const request = { log, window, bitmap, dropper: Buffer.from(dropper).toString('hex'), attempt }
  const lock = (change: Partial<typeof content>, by = keyPair): Promise<unknown> =>
    says('lock', { statement: signKeepLock({ ...content, ...times, ...change }, by) }).lock(request)
  t.ok(await lock({}))
  for (const change of [
    { dropper: filled(32, 9) },
    { attempt: filled(16, 9) },
    { log: filled(32, 9) },
    { window: 4 },
    { bitmap: emptyBitmap() }
  ])
    await t.rejects(lock(change), { code: 'BAD_ANSWER' }, Object.keys(change).join())
  await t.rejects(lock({}, stranger), { code: 'BAD_ANSWER' }, 'of another')
})

t.test('drop() takes only a receipt without what was dropped', async t => {
  const attempt = filled(16, 1)
  let answers = [encodeAnswer('mark', { attempt }), encodeAnswer('drop', { receipt: receipt() })]
  const { link } = told(() => Promise.resolve(answers.shift() ?? new Uint8Array(0)))
  await link.mark(blocksOf(log, 0, 1))
  await t.rejects(link.drop(attempt, []), { code: 'BAD_ANSWER' }, 'it still names the block')
  answers = [encodeAnswer('drop', { receipt: receipt({ window: 3 }) })]
  await t.rejects(link.drop(attempt, []), { code: 'BAD_ANSWER' }, 'of another window')
  const bitmap = rangeBitmap({ window: 0, from: 1, to: 5 })
  answers = [encodeAnswer('drop', { receipt: receipt({ bitmap }) })]
  t.same((await link.drop(attempt, [])).bitmap, bitmap)
})

t.test('settleBalance() refuses what does not follow', async t => {
  const device = signingKeyPair(filled(32, 6))
  const sign = (change: Partial<BalanceContent>, by = keyPair): Uint8Array => {
    const content = { sequence: 1, previous: NO_PREVIOUS, identity, mibSeconds: 5, timeMs: 1 }
    return signBalance({ ...content, ...change }, by)
  }
  const settled = (of: Uint8Array, by = device): SettledBalance => ({
    balance: of,
    accepted: signBalanceAccepted(balanceHash(of), by)
  })
  const lies: [string, CustodyAnswer<'balance'>][] = [
    ["a stranger's", { proposal: sign({}, stranger), settled: undefined }],
    ["of somebody else's", { proposal: sign({ identity: filled(32, 9) }), settled: undefined }],
    ['out of order', { proposal: sign({ sequence: 2 }), settled: undefined }],
    [
      'less than before',
      { proposal: sign({ sequence: 2, mibSeconds: 4 }), settled: settled(sign({})) }
    ],
    [
      'accepted by itself',
      { proposal: sign({ sequence: 2 }), settled: settled(sign({}), keyPair) }
    ],
    ['accepted and not kept', { proposal: sign({}), settled: undefined }]
  ]
  for (const [what, answer] of lies) {
    const asked = says('balance', answer).settleBalance(() => true)
    await t.rejects(asked, { code: 'BAD_ANSWER' }, what)
  }
})

t.test('summaries() has an end', async t => {
  const next = { device: filled(32, 1), summary: filled(9, 1) }
  await t.rejects(says('summaries', next).summaries(), { code: 'BAD_ANSWER' })
})

t.test('a keeper that does not answer', async t => {
  const { link, clock } = told(() => new Promise(() => undefined))
  const asked = link.usage()
  clock.advance(CALL_MS_MAX - 1)
  clock.advance(1)
  await t.rejects(asked, { code: 'NO_ANSWER' })
  const soon = link.usage({ deadlineMs: 10 })
  clock.advance(10)
  await t.rejects(soon, { code: 'NO_ANSWER' })
  t.equal(clock.pendingTimers, 0)
})

t.test('an answer that is none', async t => {
  for (const bytes of [new Uint8Array(0), filled(40, 9), filled(40, 1)])
    await t.rejects(told(() => Promise.resolve(bytes)).link.usage(), { code: 'BAD_ANSWER' })
})

t.test('greetKeeper() refuses the word of or to another, or on another connection', async t => {
  const handshakeHash = filled(64, 1)
  const connection = { handshakeHash } as unknown as PeerConnection
  const content = {
    ...{ identity, nonce: blake2b(handshakeHash), machine: filled(16, 1), name: 'attic' },
    ...{ quotaBytes: 1, usedBytes: 0, timeMs: 1, onlineSec: 1, listVersion: 1 }
  }
  const greet = (change: Partial<typeof content> & { drive?: Uint8Array }, by = keyPair) => {
    const said = signKeeperStatement({ ...content, ...change }, by)
    const answer = encodeAnswer('hello', { keeper: said, drive: change.drive ?? drive })
    const rpc = { ask: () => Promise.resolve(answer) }
    const parts = { connection, rpc, identity, drive, statements: [], clock: new VirtualClock() }
    return greetKeeper({ ...parts, keeper })
  }
  t.match(await greet({}), { name: 'attic', drive })
  for (const change of [
    { identity: filled(32, 9) },
    { nonce: filled(32, 9) },
    { drive: filled(32, 9) }
  ])
    await t.rejects(greet(change), { code: 'BAD_ANSWER' }, Object.keys(change).join())
  await t.rejects(greet({}, stranger), { code: 'BAD_ANSWER' }, 'of another')
  const empty = { ask: () => Promise.resolve(encodeAnswer('hello', undefined)) }
  const parts = { connection, rpc: empty, identity, statements: [], clock: new VirtualClock() }
  await t.rejects(greetKeeper(parts), { code: 'BAD_ANSWER' }, 'nothing')
})

t.test('greetKeeper() brings as many statements as there are', async t => {
  const sizes: number[] = []
  const random = new SeededRandom(1)
  const statements = Array.from({ length: 600 }, () => random.bytes(700))
  const rpc = {
    ask: (_: CustodyMethod, bytes: Uint8Array) => {
      sizes.push(bytes.length)
      return Promise.resolve(encodeRefusal('REFUSED', 'refused'))
    }
  }
  const connection = {} as unknown as PeerConnection
  const parts = { connection, rpc, identity, statements, clock: new VirtualClock() }
  await t.rejects(greetKeeper(parts), { code: 'REFUSED' })
  t.equal(sizes.length, 1, 'it stops when it is refused')
})
