/** An inode is in use as long as a handle or the kernel has it; then, once, it is said unused. */
import assert from 'node:assert/strict'
import t from 'tap'
import { OpenInodes } from '../../src/fs/open-inodes.ts'
import { ROOT_INODE, type HandleId, type InodeNumber } from '../../src/fs/vfs.ts'
import { logKey } from '../../src/sync/log.ts'
import type { LinkId } from '../../src/sync/operation.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const SEEDS = 30
const STEPS = 200
const INOS = [1, 2, 3, 4] as InodeNumber[]

function pick<T>(from: readonly T[], random: SeededRandom): T | undefined {
  return from[random.integer(Math.max(1, from.length))]
}

/** Open inodes beside a naive count of uses. */
class Uses {
  readonly unused: number[] = []
  readonly open = new OpenInodes(ino => this.unused.push(ino))
  readonly handles: { readonly handle: HandleId; readonly ino: InodeNumber; kind: string }[] = []
  readonly remembered = new Map<number, number>(INOS.map(ino => [ino, 0]))
  readonly #random: SeededRandom
  readonly #given = new Set<HandleId>()

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
  }

  step(): void {
    const [random, ino] = [this.#random, pick(INOS, this.#random) ?? (1 as InodeNumber)]
    const before = this.unused.length
    const wasUsed = this.#isUsed(ino)
    switch (random.integer(5)) {
      case 0:
        return this.#add(this.open.openFile(ino, 2, undefined), ino, 'file')
      case 1:
        return this.#add(this.open.openDirectory(ino), ino, 'directory')
      case 2:
        this.open.remember(ino)
        this.remembered.set(ino, (this.remembered.get(ino) ?? 0) + 1)
        return
      case 3: {
        const count = 1 + random.integer(3)
        this.open.forget(ino, count)
        this.remembered.set(ino, Math.max(0, (this.remembered.get(ino) ?? 0) - count))
        return this.#checkSaid(ino, wasUsed, before)
      }
      default:
        return this.#close(before)
    }
  }

  check(): void {
    assert.equal(this.open.handleCount, this.handles.length)
    for (const ino of INOS) assert.equal(this.open.isOpen(ino), this.#isUsed(ino))
    for (const { handle, ino, kind } of this.handles) {
      const isFile = kind === 'file'
      const [good, bad] = isFile
        ? (['file', 'directory'] as const)
        : (['directory', 'file'] as const)
      assert.equal(this.open[good](handle, 'test').ino, ino)
      assert.throws(() => this.open[bad](handle, 'test'), { code: 'EBADF' })
    }
  }

  #add(handle: HandleId, ino: InodeNumber, kind: string): void {
    assert.ok(!this.#given.has(handle), 'a handle is never given twice')
    this.#given.add(handle)
    this.handles.push({ handle, ino, kind })
  }

  #close(before: number): void {
    const found = pick(this.handles, this.#random)
    if (!found) return
    this.handles.splice(this.handles.indexOf(found), 1)
    this.open.close(found.handle)
    this.#checkSaid(found.ino, true, before)
    assert.throws(() => this.open.file(found.handle, 'test'), { code: 'EBADF' })
    this.open.close(found.handle)
  }

  #checkSaid(ino: number, wasUsed: boolean, before: number): void {
    const said = this.unused.slice(before)
    if (this.#isUsed(ino)) assert.deepEqual(said, [])
    else if (wasUsed) assert.deepEqual(said, [ino])
  }

  #isUsed(ino: number): boolean {
    return (this.remembered.get(ino) ?? 0) > 0 || this.handles.some(each => each.ino === ino)
  }
}

t.test('uses are counted, and the end of the last one is said once', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const uses = new Uses(seed)
    for (let step = 0; step < STEPS; step++) {
      uses.step()
      uses.check()
    }
  }
})

t.test('a file without a name may be given one once, and not after it was closed', async t => {
  const open = new OpenInodes(() => undefined)
  const ino = 5 as InodeNumber
  t.notOk(open.takeLinkable(ino), 'nobody said it may')
  const handle = open.openFile(ino, 2, undefined)
  open.setLinkable(ino)
  t.ok(open.takeLinkable(ino))
  t.notOk(open.takeLinkable(ino), 'once')
  open.setLinkable(ino)
  open.remember(ino)
  open.close(handle)
  t.ok(open.isOpen(ino))
  open.forget(ino, 1)
  t.notOk(open.takeLinkable(ino), 'it is gone')
})

t.test('what the kernel never knew is forgotten without harm', async t => {
  const unused: number[] = []
  const open = new OpenInodes(ino => unused.push(ino))
  open.forget(9, 3)
  t.notOk(open.isOpen(9))
  open.remember(9)
  t.ok(open.isOpen(9), 'not minus three')
})

t.test('a file comes back at a link that it was seen to have last', async t => {
  const open = new OpenInodes(() => undefined)
  const [ino, log] = [5 as InodeNumber, logKey('a'.repeat(64))]
  const [first, second] = [1, 2].map(index => ({ log, index, number: 0 })) as [LinkId, LinkId]
  open.setThrough(ino, second)
  t.equal(open.throughOf(ino), undefined, 'it is not open')
  const handle = open.openFile(ino, 2, first)
  t.equal(open.throughOf(ino), first)
  open.setThrough(ino, second)
  t.equal(open.throughOf(ino), second)
  open.close(handle)
  t.equal(open.throughOf(ino), undefined)
})

t.test('what is known: the root, what is open or remembered, and under which numbers', async t => {
  const open = new OpenInodes(() => undefined)
  const [shown, alias] = [5, 6] as [InodeNumber, InodeNumber]
  t.ok(open.isKnown(ROOT_INODE))
  t.notOk(open.isKnown(shown))
  t.strictSame(open.knownAs(shown), [])
  open.remember(alias)
  open.addAlias(alias, shown)
  open.addAlias(alias, shown)
  t.strictSame(open.knownAs(shown), [alias])
  const handle = open.openDirectory(shown)
  t.strictSame(open.knownAs(shown), [shown, alias])
  open.forget(alias, 1)
  t.strictSame(open.knownAs(shown), [shown])
  open.remember(alias)
  t.strictSame(open.knownAs(shown), [shown], 'it was forgotten')
  open.close(handle)
})
