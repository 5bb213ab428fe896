/** The log says what happened without quoting foreign messages, and does not grow for ever. */
import { readFile, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { DaemonLog, describeError, LOG_BYTES_MAX } from '../../bin/daemon-log.ts'
import { temporaryFolder } from './temporary-folder.ts'

t.test('write() adds a line with time, process and the kind of error', async t => {
  const path = join(await temporaryFolder(t), 'daemon.log')
  const echoed: string[] = []
  const log = new DaemonLog(path, line => echoed.push(line))
  t.teardown(() => log.close())
  const secret = Object.assign(new Error("ENOENT: no such file '/diary.txt'"), { code: 'ENOENT' })
  log.write('could not start', new TypeError('diary', { cause: secret }))
  log.write('ended')
  const text = await readFile(path, 'utf8')
  t.match(
    text,
    new RegExp(`^\\d{4}-\\d\\d-\\d\\dT[^ ]+Z ${process.pid} could not start: TypeError`)
  )
  t.match(text, /caused by Error ENOENT at /)
  t.notMatch(text, 'diary')
  t.equal(text.trim().split('\n').length, 2, 'one line for each event')
  t.equal(echoed.join(''), text)
  t.equal((await stat(path)).mode & 0o777, 0o600)
})

t.test('write() starts anew at the limit and keeps one older log', async t => {
  const path = join(await temporaryFolder(t), 'daemon.log')
  new DaemonLog(path).close()
  await truncate(path, LOG_BYTES_MAX)
  const log = new DaemonLog(path)
  t.teardown(() => log.close())
  log.write('first of the new one')
  t.equal((await stat(`${path}.1`)).size, LOG_BYTES_MAX)
  t.match(await readFile(path, 'utf8'), /first of the new one\n$/)
})

t.test('write() after close() and describeError() of anything do not throw', async t => {
  const log = new DaemonLog(join(await temporaryFolder(t), 'daemon.log'))
  log.close()
  log.write('nobody hears this')
  const loop = new Error('loop')
  loop.cause = loop
  for (const value of [undefined, null, 'text', 5, loop, Object.create(null)])
    t.type(describeError(value), 'string')
})
