/** The seal of the index tells one that was changed behind our back. */
import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { IndexSeal } from '../../bin/index-seal.ts'
import { temporaryFolder } from './temporary-folder.ts'

t.test('take() is false only for an index that is not as leave() found it', async t => {
  const folder = await temporaryFolder(t)
  const seal = new IndexSeal({ indexDirectory: folder, indexSealFile: join(folder, 'seal') })
  const data = join(folder, 'data.mdb')
  await writeFile(data, 'rows')
  t.equal(await seal.take(), true, 'none was left')
  await seal.leave()
  t.equal(await seal.take(), true, 'unchanged')
  t.equal(await seal.take(), true, 'it was taken away')
  await seal.leave()
  await appendFile(data, 'x')
  t.equal(await seal.take(), false, 'changed')
})
