/**
 * SQLite: rollback journals and the write-ahead log, with its shared memory.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { ToolCase, ToolContext } from './tool-case.ts'

const TRANSACTIONS = 40
const ROWS_IN_EACH = 5
const ROWS = TRANSACTIONS * ROWS_IN_EACH
const SCHEMA = 'create table if not exists t (id integer primary key, round int, text text);'

async function sqlite(c: ToolContext, database: string, script: string): Promise<string> {
  return (await c.runWith(script, 'sqlite3', '-batch', '-bail', database)).trim()
}

function transactions(count: number): string {
  const insert = `insert into t (round, text) select value, hex(randomblob(200)) from json_each('[${Array.from({ length: ROWS_IN_EACH }, (_, index) => index).join()}]');`
  return Array.from({ length: count }, () => `begin; ${insert} commit;`).join('\n')
}

async function expectWhole(c: ToolContext, database: string, rows: number): Promise<void> {
  const answer = await sqlite(c, database, 'pragma integrity_check; select count(*) from t;')
  assert.equal(answer, `ok\n${rows}`, database)
}

/** Checks a copy of a database, with whatever lies beside it, and writes to it. */
async function goOn(c: ToolContext, database: string, rows: number): Promise<void> {
  await c.run('sh', '-c', 'cp --archive "$0"* "$1"', database, c.scratch)
  const copy = join(c.scratch, database)
  await expectWhole(c, copy, rows)
  await sqlite(c, copy, transactions(3))
  await expectWhole(c, copy, rows + 3 * ROWS_IN_EACH)
}

/** See the module. */
export const databaseCases: readonly ToolCase[] = [
  {
    name: 'sqlite rollback journal',
    tools: { sqlite3: 'sqlite3' },
    async fill(c) {
      for (const mode of ['delete', 'truncate', 'persist']) {
        const settings = `pragma journal_mode=${mode}; pragma synchronous=full; ${SCHEMA}`
        assert.equal(
          await sqlite(c, `${mode}.db`, `${settings}\n${transactions(TRANSACTIONS)}`),
          mode
        )
        await expectWhole(c, `${mode}.db`, ROWS)
      }
      const rolledBack = `begin; delete from t; ${transactions(1).replace('begin; ', '').replace(' commit;', '')} rollback;`
      await sqlite(c, 'delete.db', rolledBack)
      await expectWhole(c, 'delete.db', ROWS)
      await sqlite(c, 'delete.db', `delete from t where id % 2 = 0; vacuum;`)
      await expectWhole(c, 'delete.db', ROWS / 2)
      assert.equal(existsSync(c.path('delete.db-journal')), false)
    },
    async verify(c) {
      for (const [mode, rows] of [
        ['delete', ROWS / 2],
        ['truncate', ROWS],
        ['persist', ROWS]
      ] as const) {
        await goOn(c, `${mode}.db`, rows)
      }
    }
  },
  {
    name: 'sqlite write-ahead log',
    tools: { sqlite3: 'sqlite3' },
    async fill(c) {
      const settings = `pragma journal_mode=wal; pragma synchronous=full; ${SCHEMA}`
      assert.equal(await sqlite(c, 'wal.db', settings), 'wal')
      const read = `.timeout 10000\n${'select count(*) % 5 from t;\n'.repeat(60)}`
      const write = `.timeout 10000\n${transactions(TRANSACTIONS / 2)}`
      const [first, second, seen] = await Promise.all([
        sqlite(c, 'wal.db', write),
        sqlite(c, 'wal.db', write),
        sqlite(c, 'wal.db', read)
      ])
      assert.deepEqual([first, second], ['', ''])
      assert.match(seen, /^(0\n)+0$/, 'a reader sees whole transactions only')
      await expectWhole(c, 'wal.db', ROWS)
      assert.match(await sqlite(c, 'wal.db', 'pragma wal_checkpoint(truncate);'), /^0\|/)
      // Leaves its log behind, as a program that was killed does.
      await sqlite(c, 'left.db', `${settings}\n.dbconfig no_ckpt_on_close on\n${transactions(4)}`)
      assert.ok(existsSync(c.path('left.db-wal')), 'the log is there')
    },
    async verify(c) {
      await goOn(c, 'left.db', 4 * ROWS_IN_EACH)
      await goOn(c, 'wal.db', ROWS)
    }
  }
]
