/** A socket of a home answers its owner with JSON, and says what went wrong. */
import { stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { REQUEST_BYTES_MAX } from '../../bin/api.ts'
import { GroveError } from '../../bin/grove-error.ts'
import { PrivateSocket, readBody, refuse, sendJson } from '../../bin/private-socket.ts'
import { askForJson } from '../../bin/socket-request.ts'
import { temporaryFolder } from './temporary-folder.ts'

const { signal } = new AbortController()

async function stage(t: Test): Promise<{ path: string; socket: PrivateSocket }> {
  const path = join(await temporaryFolder(t), 'socket')
  await writeFile(path, 'left over')
  const socket = await PrivateSocket.listen(path, async (request, response) => {
    if (request.url === '/break') throw new Error('broken')
    try {
      const body = await readBody(request)
      if (request.url === '/refuse') throw new GroveError('BUSY', 'not now')
      sendJson(response, { status: 200, body: { echo: body } })
      if (request.url === '/late') throw new Error('too late to say so')
    } catch (error) {
      refuse(response, error)
    }
  })
  t.teardown(() => socket.close(0))
  return { path, socket }
}

t.test('it is the owner’s alone, and answers', async t => {
  const { path: socket } = await stage(t)
  t.equal((await stat(socket)).mode & 0o777, 0o600)
  const asked = { socket, signal, method: 'POST', path: '/echo' }
  t.same(await askForJson({ ...asked, body: { a: 1 } }), { echo: '{"a":1}' })
  t.same(await askForJson({ ...asked, path: '/late' }), { echo: '' })
  await t.rejects(askForJson({ ...asked, path: '/refuse' }), { code: 'BUSY', message: 'not now' })
  const large = { text: 'x'.repeat(REQUEST_BYTES_MAX) }
  await t.rejects(askForJson({ ...asked, body: large }), { code: 'USAGE' })
  await t.rejects(askForJson({ ...asked, path: '/break' }), { code: 'NO_ANSWER' })
})

t.test('after its end nobody answers', async t => {
  const { path, socket } = await stage(t)
  const idle = connect(path)
  await new Promise(resolve => idle.once('connect', resolve))
  idle.on('error', () => undefined)
  await socket.close(1)
  const asked = { socket: path, signal, method: 'GET', path: '/' }
  await t.rejects(askForJson(asked), { code: 'NOT_RUNNING' })
  const aborted = AbortSignal.abort()
  await t.rejects(askForJson({ ...asked, signal: aborted }), { code: 'FAILED' })
  idle.destroy()
})
