/**
 * What changed behind the kernel's back is told in an order that leaves nothing stale, held back
 * while it would have to wait in the kernel, and never lost when the queue is full.
 */
import t from 'tap'
import { FuseNotifier } from '../../../../src/fs/fuse/linux/fuse-notifier.ts'
import {
  KernelCaches,
  NAMES_WAITING_MAX,
  RETRY_MS
} from '../../../../src/fs/fuse/linux/kernel-caches.ts'
import type { InodeNumber, NameChange, VfsChanges } from '../../../../src/fs/vfs.ts'
import type { Name } from '../../../../src/sync/operation.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const EAGAIN = 11
const DIRECTORY = 1 as InodeNumber
const FILE = 7 as InodeNumber
const OTHER = 8 as InodeNumber
const SIZE = 4097

/** The caches over a queue of so many messages, which says in words what it was given. */
class Kernel {
  readonly told: string[] = []
  readonly clock = new VirtualClock()
  readonly sizes = new Map<InodeNumber, number>([
    [FILE, SIZE],
    [OTHER, 5]
  ])
  readonly locked = new Set<InodeNumber>()
  readonly caches: KernelCaches
  room = Infinity

  constructor(hasEpochs = true) {
    const notify = (message: Uint8Array): number => {
      if (this.room <= 0) return -EAGAIN
      this.room--
      this.told.push(inWords(Buffer.from(message)))
      return 0
    }
    this.caches = new KernelCaches({
      notifier: new FuseNotifier({ notify, notifyStatus: () => [] }),
      sizeOf: ino => this.sizes.get(ino),
      isLocked: ino => this.locked.has(ino),
      hasEpochs: () => hasEpochs,
      after: (delayMs, callback) => this.clock.after(delayMs, callback)
    })
  }

  change(changes: Partial<VfsChanges>): string[] {
    this.caches.changed({ names: [], attributes: new Set(), content: new Set(), ...changes })
    return this.told.splice(0)
  }
}

/** The words of a notification; see `fuse-notifier.test.ts` for its bytes. */
function inWords(message: Buffer): string {
  const [code, body] = [message.readInt32LE(4), message.subarray(16)]
  const wide = (at: number): number => Number(body.readBigInt64LE(at))
  const word: Readonly<Record<number, () => string>> = {
    2: () => (wide(8) < 0 ? `attributes of ${wide(0)}` : `pages of ${wide(0)}`),
    3: () => `${body.readUInt32LE(12) === 1 ? 'expire' : 'drop'} ${wide(0)}/${nameIn(body)}`,
    4: () => `size of ${wide(0)}: ${wide(8)}`,
    8: () => 'every name'
  }
  return word[code]?.() ?? `code ${code}`
}

function nameIn(body: Buffer): string {
  return body.subarray(16, 16 + body.readUInt32LE(8)).toString('latin1')
}

function named(name: string, kind: NameChange['kind']): NameChange {
  return { place: { parent: DIRECTORY, name: name as Name }, kind }
}

t.test('names go first, then pages with the size before them, then attributes', async t => {
  const told = new Kernel().change({
    names: [named('gone', 'replaced'), named('new', 'appeared'), named('d', 'moved')],
    attributes: new Set([FILE, OTHER]),
    content: new Set([FILE, DIRECTORY])
  })
  t.strictSame(told, [
    'drop 1/gone',
    'expire 1/new',
    'expire 1/d',
    `size of 7: ${SIZE}`,
    'pages of 7',
    'pages of 1',
    'attributes of 8'
  ])
})

t.test('the size told is that of the moment, not that of the change', async t => {
  const kernel = new Kernel()
  kernel.room = 0
  kernel.change({ content: new Set([FILE]) })
  kernel.sizes.set(FILE, 9)
  kernel.room = Infinity
  kernel.clock.advance(RETRY_MS)
  t.strictSame(kernel.told, ['size of 7: 9', 'pages of 7'])
})

t.test('pages that are being read are told when the reads are answered, once', async t => {
  const kernel = new Kernel()
  kernel.locked.add(FILE)
  const content = new Set([FILE, OTHER])
  t.strictSame(kernel.change({ content }), [
    `size of 7: ${SIZE}`,
    'attributes of 7',
    'size of 8: 5',
    'pages of 8'
  ])
  kernel.change({ content: new Set([FILE]) })
  kernel.told.splice(0)
  kernel.locked.clear()
  kernel.caches.unlocked(OTHER)
  t.strictSame(kernel.told, [], 'nothing of this one is held back')
  kernel.caches.unlocked(FILE)
  kernel.caches.unlocked(FILE)
  t.strictSame(kernel.told, [`size of 7: ${SIZE}`, 'pages of 7'])
})

t.test('names of a directory that is locked are told when it is not, others at once', async t => {
  const kernel = new Kernel()
  kernel.locked.add(DIRECTORY)
  const elsewhere: NameChange = { place: { parent: OTHER, name: 'b' as Name }, kind: 'appeared' }
  const content = new Set([DIRECTORY])
  const names = [named('a', 'replaced'), elsewhere]
  t.strictSame(kernel.change({ names, content }), ['expire 8/b', 'pages of 1'])
  t.strictSame(kernel.change({ names: [named('a', 'replaced'), named('c', 'moved')] }), [])
  t.ok(kernel.caches.waitingCount > 0)
  kernel.locked.clear()
  kernel.caches.unlocked(DIRECTORY)
  t.strictSame(kernel.told.splice(0), ['drop 1/a', 'expire 1/c', 'pages of 1'])
  kernel.caches.unlocked(DIRECTORY)
  t.strictSame(kernel.told, [], 'once')
  t.equal(kernel.caches.waitingCount, 0)
})

t.test('of too many names that are locked it is said that any may have changed', async t => {
  const kernel = new Kernel()
  kernel.locked.add(DIRECTORY)
  const names = Array.from({ length: NAMES_WAITING_MAX + 1 }, (_, at) => named(`${at}`, 'appeared'))
  kernel.change({ names })
  kernel.clock.advance(RETRY_MS)
  t.strictSame(kernel.told, ['every name'])
  kernel.caches.unlocked(DIRECTORY)
  t.strictSame(kernel.told, ['every name', 'pages of 1'])
})

t.test('what finds the queue full is told later, each thing once', async t => {
  const kernel = new Kernel()
  kernel.room = 1
  const both = { names: [named('a', 'appeared'), named('b', 'appeared')], content: new Set([FILE]) }
  t.strictSame(kernel.change(both), ['expire 1/a'])
  t.strictSame(kernel.change({ names: [named('b', 'replaced')], content: new Set([FILE]) }), [])
  t.strictSame(kernel.change({ names: [named('b', 'appeared')], attributes: new Set([FILE]) }), [])
  t.equal(kernel.caches.waitingCount, 3)
  kernel.clock.advance(RETRY_MS)
  t.strictSame(kernel.told.splice(0), [], 'it is still full')
  kernel.room = 2
  kernel.clock.advance(RETRY_MS)
  t.strictSame(kernel.told.splice(0), ['drop 1/b', `size of 7: ${SIZE}`], 'the stronger of both')
  kernel.room = Infinity
  kernel.clock.advance(RETRY_MS)
  t.strictSame(kernel.told, [`size of 7: ${SIZE}`, 'pages of 7'], 'both halves again')
  t.equal(kernel.caches.waitingCount, 0)
  t.equal(kernel.clock.pendingTimers, 0)
})

const tooMany = Array.from({ length: NAMES_WAITING_MAX + 1 }, (_, n) => named(`${n}`, 'replaced'))

t.test('of too many names that wait it is said that any may have changed', async t => {
  const kernel = new Kernel()
  kernel.room = 0
  kernel.change({ names: tooMany.slice(1), content: new Set([DIRECTORY]) })
  t.equal(kernel.caches.waitingCount, NAMES_WAITING_MAX + 1, 'not yet')
  kernel.change({ names: tooMany })
  t.equal(kernel.caches.waitingCount, 2)
  kernel.change({ names: tooMany })
  t.equal(kernel.caches.waitingCount, 2)
  kernel.room = Infinity
  kernel.clock.advance(RETRY_MS)
  t.strictSame(kernel.told.splice(0), ['every name', 'pages of 1'])
  t.strictSame(kernel.change({ names: [named('a', 'appeared')] }), ['expire 1/a'], 'and on it goes')
})

t.test('a kernel that cannot be told so is told each of them', async t => {
  const kernel = new Kernel(false)
  kernel.room = 0
  kernel.change({ names: tooMany })
  kernel.room = Infinity
  kernel.clock.advance(RETRY_MS)
  t.equal(kernel.told.length, tooMany.length)
})

t.test('close() ends the retries', async t => {
  const kernel = new Kernel()
  kernel.room = 0
  kernel.change({ names: [named('a', 'appeared')] })
  kernel.caches.close()
  kernel.caches.close()
  kernel.room = Infinity
  kernel.clock.advance(RETRY_MS)
  t.strictSame(kernel.change({ names: [named('b', 'appeared')] }), [])
})
