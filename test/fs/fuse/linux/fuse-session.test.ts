/**
 * Goal: each request is answered exactly once, whatever it says and whatever becomes of it.
 * Method: conversations without a kernel, then random ones: golden vectors with flipped, cut and
 * added bytes, and requests of every opcode about nodes and handles that exist.
 *
 * GROVE_FUZZ=1000000 sets how many random requests there are, GROVE_SEED which.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { Opcode } from '../../../../src/fs/fuse/linux/fuse-protocol.ts'
import { PENDING_MAX } from '../../../../src/fs/fuse/linux/fuse-session.ts'
import { FsError } from '../../../../src/fs/fs-error.ts'
import type { InodeNumber, Vfs, WaitSignal } from '../../../../src/fs/vfs.ts'
import { Fields, FuseConversation, type SeenReply } from '../../../support/fuse-conversation.ts'
import { MemoryVfs } from '../../../support/memory-vfs.ts'
import { SeededRandom } from '../../../support/seeded-random.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const [EINTR, EIO, EINVAL, ENODEV, ENOTTY, ENOSYS, EBADF] = [4, 5, 22, 19, 25, 38, 9]
const ENOENT = 2
const FUZZ_COUNT = Number(process.env['GROVE_FUZZ'] ?? 20_000)
const FUZZ_SEED = Number(process.env['GROVE_SEED'] ?? 1)

const memory = (): MemoryVfs => new MemoryVfs({ clock: new VirtualClock(), uid: 0, gid: 0 })
const readFields = (handle: number): Fields => new Fields().u64(handle, 0).u32(4096, 0, 0, 0, 0, 0)
const initFields = new Fields().u32(7, 38, 131_072, 0)

interface WaitingVfs {
  readonly vfs: Vfs
  readonly ends: ((how: Error | Uint8Array) => void)[]
  readonly signals: AbortSignal[]
}

/**
 * A file system whose reads wait until the test says how they end: for another device, or for
 * the disk here.
 */
function waitingVfs({ waitsForOthers = true } = {}): WaitingVfs {
  const ends: WaitingVfs['ends'] = []
  const signals: AbortSignal[] = []
  const vfs: Vfs = memory()
  vfs.read = async (_handle, _range, signal) => {
    if (waitsForOthers && signal) signals.push(signal())
    return new Promise((resolve, reject) =>
      ends.push(how => (how instanceof Error ? reject(how) : resolve([how])))
    )
  }
  return { vfs, ends, signals }
}

const nextTick = async (): Promise<void> => new Promise(resolve => setImmediate(resolve))

t.test('INIT makes it ready; a kernel that is too old does not', async t => {
  const conversation = new FuseConversation(memory())
  t.equal(conversation.ask(Opcode.INIT, 0, initFields).errno, 0)
  await conversation.session.ready
  t.strictSame(conversation.session.requestCounts(), { INIT: 1 })

  const old = new FuseConversation(memory())
  t.equal(old.ask(Opcode.INIT, 0, new Fields().u32(7, 8, 0, 0)).errno, EIO)
  await t.rejects(old.session.ready, { code: 'FAILED' })
})

t.test('what we do not know is ENOSYS, ioctl ENOTTY', async t => {
  const conversation = new FuseConversation(memory())
  for (const opcode of [0, 7, 19, Opcode.ACCESS, Opcode.GETLK, Opcode.POLL, Opcode.STATX, 63, 64])
    t.equal(conversation.ask(opcode, 1).errno, ENOSYS, `opcode ${opcode}`)
  t.equal(conversation.ask(0xffff_ffff, 1).errno, ENOSYS)
  t.equal(conversation.ask(Opcode.IOCTL, 1).errno, ENOTTY)
  t.equal(conversation.ask(Opcode.DESTROY, 1).errno, 0)
  t.strictSame(conversation.reports, [])
})

t.test('a malformed message is EINVAL and is reported', async t => {
  const conversation = new FuseConversation(memory())
  const lies = new Fields().u32(41, Opcode.GETATTR).u64(6, 1).u32(0, 0, 0, 0).all
  conversation.sendRaw(lies)
  t.equal(conversation.replyTo(6)?.errno, EINVAL)
  conversation.sendRaw(Buffer.from('short'))
  t.strictSame(conversation.takeReplies(), [], 'there is nobody to answer')
  t.equal(conversation.reports.length, 2)
  t.equal(conversation.ask(Opcode.GETATTR, 1, new Fields().u64(0, 0)).errno, 0, 'it goes on')
})

t.test('a handler that throws is EIO and is reported', async t => {
  const vfs: Vfs = memory()
  vfs.getattr = () => {
    throw new TypeError('nobody foresaw this')
  }
  vfs.syncfs = async () => Promise.reject(new RangeError('nor this'))
  const conversation = new FuseConversation(vfs)
  t.equal(conversation.ask(Opcode.GETATTR, 1).errno, EIO)
  const unique = conversation.send(Opcode.SYNCFS, 1)
  t.equal(conversation.replyTo(unique), undefined, 'it waits')
  await nextTick()
  t.equal(conversation.replyTo(unique)?.errno, EIO)
  t.strictSame(conversation.reports, [
    'GETATTR: answered with EIO: nobody foresaw this',
    'SYNCFS: answered with EIO: nor this'
  ])
})

t.test('requests that wait are answered in any order, each with its own', async t => {
  const { vfs, ends } = waitingVfs()
  const conversation = new FuseConversation(vfs)
  const [first, second, third] = [1, 2, 3].map(n =>
    conversation.send(Opcode.READ, 1, readFields(n))
  )
  t.equal(conversation.session.pendingCount, 3)
  t.equal(conversation.ask(Opcode.GETATTR, 1).errno, 0, 'others are served meanwhile')
  let isDrained = false
  const drained = conversation.session.drained().then(() => (isDrained = true))
  ends[2]?.(Buffer.from('third'))
  ends[0]?.(new FsError('EHOSTUNREACH', 'read'))
  await nextTick()
  t.equal(conversation.replyTo(third ?? 0)?.body.toString(), 'third')
  t.equal(conversation.replyTo(first ?? 0)?.errno, 113)
  t.notOk(isDrained)
  ends[1]?.(Buffer.alloc(5000))
  await nextTick()
  t.equal(conversation.replyTo(second ?? 0)?.errno, EIO, 'more bytes than were asked for')
  await drained
  t.equal(conversation.session.pendingCount, 0)
})

t.test('INTERRUPT answers a waiting read with EINTR, once', async t => {
  const { vfs, ends, signals } = waitingVfs()
  const conversation = new FuseConversation(vfs)
  const unique = conversation.send(Opcode.READ, 1, readFields(1))
  t.strictSame(
    signals.map(signal => signal.aborted),
    [false]
  )
  conversation.send(Opcode.INTERRUPT, 0, new Fields().u64(unique))
  t.equal(conversation.replyTo(unique)?.errno, EINTR)
  t.ok(signals[0]?.aborted, 'and nobody is asked for the bytes any more')
  ends[0]?.(Buffer.from('late'))
  await nextTick()
  conversation.send(Opcode.INTERRUPT, 0, new Fields().u64(unique))
  t.strictSame(conversation.takeReplies(), [], 'neither the late bytes nor INTERRUPT is answered')
  t.equal(conversation.session.pendingCount, 0)
})

t.test('INTERRUPT leaves alone a read that waits for the disk here', async t => {
  const { vfs, ends } = waitingVfs({ waitsForOthers: false })
  const conversation = new FuseConversation(vfs)
  const unique = conversation.send(Opcode.READ, 1, readFields(1))
  conversation.send(Opcode.INTERRUPT, 0, new Fields().u64(unique))
  t.equal(conversation.replyTo(unique), undefined)
  ends[0]?.(Buffer.from('here'))
  await nextTick()
  t.equal(conversation.replyTo(unique)?.body.toString(), 'here')
})

t.test('a node is being read until the last of its reads is answered', async t => {
  const { vfs, ends } = waitingVfs()
  const conversation = new FuseConversation(vfs)
  const { session, unlocked } = conversation
  const node = 1 as InodeNumber
  const [, second] = [1, 2].map(n => conversation.send(Opcode.READ, node, readFields(n)))
  t.ok(session.isLocked(node))
  t.notOk(session.isLocked(2 as InodeNumber))
  ends[0]?.(Buffer.from('first'))
  await nextTick()
  t.ok(session.isLocked(node), 'one is left')
  t.strictSame(unlocked, [])
  conversation.send(Opcode.INTERRUPT, 0, new Fields().u64(second ?? 0))
  t.notOk(session.isLocked(node))
  t.strictSame(unlocked, [node])
  ends[1]?.(Buffer.from('late'))
  await nextTick()
  t.strictSame(unlocked, [node], 'once')
})

t.test('a directory is locked while it is synced, a file that is synced is not', async t => {
  const vfs: Vfs = memory()
  const ends: (() => void)[] = []
  vfs.fsync = vfs.fsyncdir = async () => new Promise(resolve => ends.push(resolve))
  const conversation = new FuseConversation(vfs)
  const { session, unlocked } = conversation
  const fields = new Fields().u64(1).u32(0, 0)
  const [directory, file] = [1, 2] as [InodeNumber, InodeNumber]
  conversation.send(Opcode.FSYNCDIR, directory, fields)
  conversation.send(Opcode.FSYNC, file, fields)
  t.strictSame([session.isLocked(directory), session.isLocked(file)], [true, false])
  for (const end of ends) end()
  await nextTick()
  t.notOk(session.isLocked(directory))
  t.strictSame(unlocked, [directory])
})

t.test('INTERRUPT leaves alone what may have changed something', async t => {
  const vfs: Vfs = memory()
  let finish = (): void => undefined
  vfs.fsync = async () => new Promise(resolve => (finish = resolve))
  const conversation = new FuseConversation(vfs)
  const unique = conversation.send(Opcode.FSYNC, 1, new Fields().u64(1).u32(0, 0))
  conversation.send(Opcode.INTERRUPT, 0, new Fields().u64(unique))
  t.equal(conversation.replyTo(unique), undefined)
  finish()
  await nextTick()
  t.equal(conversation.replyTo(unique)?.errno, 0)
})

t.test('INTERRUPT answers what waits for other computers, and what takes long', async t => {
  const fields = new Fields().u64(1).u32(0, 0)
  const requests: readonly (readonly [keyof Vfs, number, Fields])[] = [
    ['fsync', Opcode.FSYNC, fields],
    ['fsyncdir', Opcode.FSYNCDIR, fields],
    ['getxattr', Opcode.GETXATTR, new Fields().u32(10, 0).text('user.grove.copies')]
  ]
  for (const [call, opcode, body] of requests) {
    const vfs: Vfs = memory()
    const state: { signal: AbortSignal | undefined; reject: (error: Error) => void } = {
      signal: undefined,
      reject: () => undefined
    }
    Object.assign(vfs, {
      [call]: async (...args: readonly unknown[]) => {
        state.signal = (args.at(-1) as WaitSignal)()
        return new Promise((_, reject) => (state.reject = reject))
      }
    })
    const conversation = new FuseConversation(vfs)
    const unique = conversation.send(opcode, 1, body)
    t.equal(conversation.replyTo(unique), undefined, call)
    conversation.send(Opcode.INTERRUPT, 0, new Fields().u64(unique))
    t.equal(conversation.replyTo(unique)?.errno, EINTR, call)
    t.ok(state.signal?.aborted, call)
    state.reject(new FsError('EINTR', call))
    await nextTick()
    t.strictSame(conversation.takeReplies(), [], `${call}: one answer`)
  }
})

t.test('a reply that the kernel refuses is followed by EIO, unless nobody waits', async t => {
  const conversation = new FuseConversation(memory())
  conversation.refusals.push(-EINVAL)
  t.equal(conversation.ask(Opcode.GETATTR, 1).errno, EIO)
  t.strictSame(conversation.reports, ['FUSE: the kernel refused a reply with errno 22'])
  conversation.refusals.push(-ENOENT)
  const unique = conversation.send(Opcode.GETATTR, 1)
  t.equal(conversation.replyTo(unique), undefined)
  t.equal(conversation.reports.length, 1)
})

t.test('too many that wait do not keep out what does not', async t => {
  const { vfs } = waitingVfs()
  const conversation = new FuseConversation(vfs)
  for (let count = 0; count < PENDING_MAX; count++) conversation.send(Opcode.READ, 1, readFields(1))
  t.equal(conversation.ask(Opcode.READ, 1, readFields(1)).errno, EIO)
  t.equal(conversation.ask(Opcode.GETATTR, 1).errno, 0)
  t.equal(conversation.session.pendingCount, PENDING_MAX)
})

t.test('the end releases what the kernel held open', async t => {
  const vfs = memory()
  const conversation = new FuseConversation(vfs)
  conversation.ask(Opcode.CREATE, 1, new Fields().u32(1, 0o644, 0, 0).text('file'))
  conversation.ask(Opcode.OPENDIR, 1, new Fields().u32(0, 0))
  t.equal(vfs.handleCount, 2)
  conversation.end(ENODEV)
  await nextTick()
  t.ok(conversation.hasEnded)
  t.equal(vfs.handleCount, 0)
  t.strictSame(conversation.reports, [])
})

t.test('the end gives up what waits for other devices', async t => {
  const { vfs, signals } = waitingVfs()
  const conversation = new FuseConversation(vfs)
  conversation.send(Opcode.READ, 1, readFields(1))
  conversation.end(ENODEV)
  t.ok(signals[0]?.aborted)
})

t.test('an end before INIT is not ready', async t => {
  const conversation = new FuseConversation(memory())
  conversation.end(EBADF)
  await t.rejects(conversation.session.ready, { code: 'FAILED' })
  t.equal(conversation.reports.length, 1, 'only ENODEV is an ordinary end')
})

const NO_REPLY: readonly number[] = [
  Opcode.FORGET,
  Opcode.BATCH_FORGET,
  Opcode.INTERRUPT,
  Opcode.NOTIFY_REPLY
]
const ERRNO_MAX = 133
/** A fresh file system now and then keeps the random one small. */
const REQUESTS_PER_FILE_SYSTEM = 2000

const VECTORS = Object.values(
  JSON.parse(
    readFileSync(new URL('../../../golden/fuse-request.json', import.meta.url), 'utf8')
  ) as Record<string, string>
).map(digits => Buffer.from(digits, 'hex'))

/** A golden vector that was damaged. */
function damagedVector(random: SeededRandom): Buffer {
  const vector = VECTORS[random.integer(VECTORS.length)] ?? Buffer.alloc(0)
  const kept = random.integer(3) === 0 ? random.integer(vector.length + 1) : vector.length
  const added = random.integer(3) === 0 ? random.bytes(random.integer(64)) : new Uint8Array(0)
  const message = Buffer.concat([vector.subarray(0, kept), added])
  for (let flips = random.integer(6); flips > 0 && message.length > 0; flips--)
    message[random.integer(message.length)] = random.integer(256)
  return message
}

/** A request of some opcode about a node and a handle that may exist, with a random rest. */
function plausible(random: SeededRandom): Buffer {
  const fields = new Fields()
  if (random.integer(2) === 0) fields.u64(random.integer(12))
  for (let words = random.integer(12); words > 0; words--)
    fields.u32(random.integer(4) === 0 ? random.integer(2 ** 32) : random.integer(5))
  if (random.integer(2) === 0) fields.text('abc'.slice(random.integer(3)))
  if (random.integer(4) === 0) fields.bytes(random.bytes(random.integer(300)))
  const body = fields.all
  const head = new Fields().u32(40 + body.length, random.integer(56)).u64(0, random.integer(12))
  return Buffer.concat([head.u32(0, 0, 1, 0).all, body])
}

/** A random request with a number of its own where there is room for one. */
function randomRequest(random: SeededRandom, unique: number): Buffer {
  const message = random.integer(2) === 0 ? damagedVector(random) : plausible(random)
  const tellsLength = random.integer(20) > 0 && message.length >= 4
  if (tellsLength) message.writeUInt32LE(message.length)
  if (message.length >= 16) message.writeBigUInt64LE(BigInt(unique), 8)
  return message
}

/** Whether a request was answered as it must be, once or, if it is of that kind, not at all. */
function isAnswered(message: Buffer, unique: number, replies: readonly SeenReply[]): boolean {
  const isWellFormed = message.length >= 40 && message.readUInt32LE(0) === message.length
  const opcode = message.length >= 8 ? message.readUInt32LE(4) : 0
  const [reply] = replies
  if (!isWellFormed && message.length < 16) return replies.length === 0
  if (reply === undefined) return isWellFormed && NO_REPLY.includes(opcode)
  const isSane = reply.unique === unique && reply.errno >= 0 && reply.errno <= ERRNO_MAX
  return replies.length === 1 && isSane && (isWellFormed || reply.errno === EINVAL)
}

t.test(`${FUZZ_COUNT} random requests are each answered once (seed ${FUZZ_SEED})`, async t => {
  const random = new SeededRandom(FUZZ_SEED)
  let conversation = new FuseConversation(memory())
  const seen = new Map<number, number>()
  for (let count = 1; count <= FUZZ_COUNT; count++) {
    if (count % REQUESTS_PER_FILE_SYSTEM === 0) {
      await nextTick()
      conversation = new FuseConversation(memory())
    }
    const message = randomRequest(random, count)
    conversation.sendRaw(message)
    if (conversation.session.pendingCount > 0) await nextTick()
    const replies = conversation.takeReplies()
    const faults = conversation.reports
      .splice(0)
      .filter(text => !text.endsWith('malformed request'))
    if (!isAnswered(message, count, replies) || faults.length > 0) {
      const answer = JSON.stringify({ replies, faults })
      t.fail(`request ${count}: ${message.toString('hex')} -> ${answer}`)
      return
    }
    const errno = replies[0]?.errno ?? -1
    seen.set(errno, (seen.get(errno) ?? 0) + 1)
  }
  t.comment(JSON.stringify(Object.fromEntries(seen)))
  t.ok((seen.get(0) ?? 0) > FUZZ_COUNT / 20, 'many of them succeed')
})
