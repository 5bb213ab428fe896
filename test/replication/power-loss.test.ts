/**
 * Goal: what `sync` acknowledged survives a loss of power (promise 1), and what else is left is
 * a prefix: no operation without the content that was appended before it.
 * Method: a run of appends and syncs; then, for every place where the loss may have cut the
 * write-ahead log, a copy of the store cut there is opened and read. What counts as on the
 * disk is what this process was seen to sync, not what the store says.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { rm } from 'node:fs/promises'
import t from 'tap'
import { LogHome } from '../../src/replication/log-home.ts'
import { text } from '../suites/log-suite.ts'
import { cloneStore, cutPoints, cutWal, type WalPosition } from '../support/cut-wal.ts'
import { identityOf, withDirectory } from '../support/hypercore-home.ts'
import { syncedWal } from '../support/sync-observer.ts'

const COMMITS = 10
const SYNC_EVERY = 4

/** What a resolved `sync` promised. */
interface Promised {
  readonly position: WalPosition
  readonly content: number
  readonly operations: number
}

const block = (index: number): Buffer => Buffer.alloc(3000 + 7919 * (index % 9), index + 1)
const covers = (cut: WalPosition, at: WalPosition): boolean =>
  cut.number > at.number || (cut.number === at.number && cut.bytes >= at.bytes)

/** Commits of one to three blocks and an operation that says how much content it needs. */
async function run(directory: string): Promise<{ home: LogHome; promised: Promised[] }> {
  const home = await LogHome.open({ directory })
  const content = await home.openBlockStore(identityOf('content'))
  const operations = await home.openLog(identityOf('operations'))
  const promised: Promised[] = []
  for (let commit = 0; commit < COMMITS; commit++) {
    const blocks = Array.from({ length: 1 + (commit % 3) }, (_, i) => block(content.length + i))
    await content.append(blocks, content.length)
    const operation = JSON.stringify({
      commit,
      needs: content.length,
      pad: 'x'.repeat(commit * 40)
    })
    await operations.append([Buffer.from(operation)], operations.length)
    if (commit % SYNC_EVERY !== 0) continue
    const lengths = { content: content.length, operations: operations.length }
    await operations.sync()
    promised.push({ position: syncedWal(directory), ...lengths })
  }
  return { home, promised }
}

/** Opens what is left and checks every entry; returns how long the logs are. */
async function inspect(directory: string): Promise<{ content: number; operations: number }> {
  const home = await LogHome.open({ directory, allowMoved: true })
  try {
    const content = await home.openBlockStore(identityOf('content'))
    const operations = await home.openLog(identityOf('operations'))
    for (let index = 0; index < content.length; index++)
      assert.ok(block(index).equals(await content.get(index)), `block ${String(index)}`)
    for (let index = 0; index < operations.length; index++) {
      const entry = JSON.parse(text(await operations.get(index))) as {
        commit: number
        needs: number
      }
      assert.equal(entry.commit, index)
      assert.ok(entry.needs <= content.length, 'an operation whose content is lost')
    }
    await operations.append([Buffer.from('goes on')], operations.length)
    return { content: content.length, operations: operations.length - 1 }
  } finally {
    await home.close()
  }
}

t.test('what sync() promised is there wherever the power loss cuts', async t =>
  withDirectory(async root => {
    const [store, still, cut] = ['store', 'still', 'cut'].map(name => join(root, name)) as [
      string,
      string,
      string
    ]
    const { home, promised } = await run(store)
    await cloneStore(store, still)
    await home.close()
    const points = await cutPoints(still, { number: 0, bytes: 0 })
    t.ok(points.length > 2 * 2 * COMMITS, `${String(points.length)} places to cut at`)
    t.ok(promised.length === Math.ceil(COMMITS / SYNC_EVERY))

    const seen = new Set<string>()
    for (const point of points.filter(place => covers(place, promised[0]?.position ?? place))) {
      await cloneStore(still, cut)
      await cutWal(cut, point)
      const left = await inspect(cut)
      await rm(cut, { recursive: true })
      seen.add(JSON.stringify(left))
      for (const { position, content, operations } of promised.filter(at =>
        covers(point, at.position)
      )) {
        assert.ok(left.content >= content, `content at ${JSON.stringify(point)}`)
        assert.ok(
          left.operations >= operations,
          `operations at ${JSON.stringify([point, position])}`
        )
      }
    }
    t.ok(seen.size >= 2 * (COMMITS - 1), `${String(seen.size)} different histories were left`)
  })
)
