/**
 * A process that has a home open: it appends to two logs for ever, content first, and says
 * how far it got. Run by `log-home.test.ts`, which kills it.
 *
 * @module
 */
import { LogHome } from '../../src/replication/log-home.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import { identityOf } from '../support/hypercore-home.ts'

const [directory = ''] = process.argv.slice(2)
try {
  const home = await LogHome.open({ directory })
  const content = await home.openBlockStore(identityOf('content'))
  const operations = await home.openLog(identityOf('operations'))
  for (;;) {
    await content.append([Buffer.alloc(5000, content.length)], content.length)
    const text = JSON.stringify({ content: content.length })
    await operations.append([Buffer.from(text)], operations.length)
    process.stdout.write(`appended ${String(operations.length)}\n`)
  }
} catch (error) {
  if (!(error instanceof ReplicationError)) throw error
  process.stdout.write(`refused ${error.code}\n`)
}
