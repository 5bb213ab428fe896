/**
 * A program that commits batches to a {@link LmdbKeyValueStore} until it is killed. Each batch
 * sets every row to the batch's number; the number is printed when the batch has resolved.
 *
 * Arguments: the directory, the number of rows.
 *
 * @module
 */
import { writeSync } from 'node:fs'
import { LmdbKeyValueStore } from '../../src/sync/lmdb-key-value-store.ts'

const [directory = '', rowCount = '0'] = process.argv.slice(2)
const store = await LmdbKeyValueStore.open({ directory })

for (let batch = 1; ; batch++) {
  const value = Buffer.alloc(200)
  value.writeUInt32LE(batch)
  const changes = Array.from({ length: Number(rowCount) }, (_, row) => {
    const key = Buffer.alloc(4)
    key.writeUInt32BE(row)
    return [key, value] as const
  })
  await store.commit(changes)
  writeSync(1, `${batch}\n`)
}
