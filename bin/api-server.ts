/**
 * The daemon's socket: HTTP in front of a {@link ApiHandler}. Only the owner may connect.
 *
 * @module
 */
import { chmod, unlink } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { REQUEST_BYTES_MAX } from './api.ts'
import { FILE_MODE } from './atomic-file.ts'
import type {
  ApiError,
  DaemonStatus,
  MountRequest,
  MountedStatus,
  SettingRequest,
  StopAnswer,
  UnmountAnswer,
  UnmountRequest,
  VerifyLine
} from './api.ts'
import { parseMountRequest, parseSettingRequest, parseUnmountRequest } from './api-request.ts'
import { explainError } from './explain-error.ts'
import { GroveError } from './grove-error.ts'

/** How long a client may take to send its request, in milliseconds. */
export const REQUEST_MS_MAX = 10_000

/** What stands behind the socket; each method answers one request. */
export interface ApiHandler {
  /** Says how things are. */
  status(): Promise<DaemonStatus>
  /** Mounts. */
  mount(request: MountRequest): Promise<MountedStatus>
  /** Unmounts. */
  unmount(request: UnmountRequest): Promise<UnmountAnswer>
  /** Looks for damage; ends early when the client goes away. */
  verify(signal: AbortSignal): AsyncIterable<VerifyLine>
  /** Changes a setting. */
  changeSetting(request: SettingRequest): Promise<object>
  /** Makes everything safe; the process ends once the answer has been sent. */
  stop(): Promise<StopAnswer>
}

/** A socket that answers. */
export class ApiServer {
  readonly #server: Server
  readonly #path: string

  private constructor(server: Server, path: string) {
    this.#server = server
    this.#path = path
  }

  /**
   * Listens. A socket that is left over at the path is removed, so the caller must hold the
   * home's lock.
   */
  static async listen(path: string, handler: ApiHandler): Promise<ApiServer> {
    await unlink(path).catch(() => undefined)
    const server = createServer({ requestTimeout: REQUEST_MS_MAX }, (request, response) => {
      answer(handler, request, response).catch(() => response.destroy())
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    await chmod(path, FILE_MODE)
    return new ApiServer(server, path)
  }

  /** Removes the socket, lets answers under way finish for `graceMs`, then ends. */
  async close(graceMs: number): Promise<void> {
    await unlink(this.#path).catch(() => undefined)
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    this.#server.closeIdleConnections()
    const timer = setTimeout(() => this.#server.closeAllConnections(), graceMs)
    await closed
    clearTimeout(timer)
  }
}

async function answer(
  handler: ApiHandler,
  request: IncomingMessage,
  response: ServerResponse
): Promise<void> {
  response.setHeader('connection', 'close')
  try {
    const body = await readBody(request)
    const route = `${request.method ?? ''} ${request.url ?? ''}`
    if (route === 'POST /v1/verify') return await answerLines(handler, response)
    sendJson(response, { status: 200, body: await dispatch(handler, route, body) })
  } catch (error) {
    if (response.headersSent) throw error
    const { status, body } = refusal(error)
    sendJson(response, { status, body })
  }
}

async function dispatch(handler: ApiHandler, route: string, body: string): Promise<object> {
  switch (route) {
    case 'GET /v1/status':
      return handler.status()
    case 'POST /v1/mount':
      return handler.mount(parseMountRequest(body))
    case 'POST /v1/unmount':
      return handler.unmount(parseUnmountRequest(body))
    case 'POST /v1/setting':
      return handler.changeSetting(parseSettingRequest(body))
    case 'POST /v1/stop':
      return handler.stop()
    default:
      throw new GroveError('USAGE', 'the daemon knows no such request; is it another version?')
  }
}

async function answerLines(handler: ApiHandler, response: ServerResponse): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  try {
    for await (const line of handler.verify(gone.signal))
      await sendLine(response, line, gone.signal)
  } catch (error) {
    const { code, message } = explainError(error)
    if (!gone.signal.aborted)
      await sendLine(response, { kind: 'error', error: { code, message } }, gone.signal)
  }
  response.end()
}

/** Sends a line and waits while the client is slower than we are. */
async function sendLine(
  response: ServerResponse,
  line: VerifyLine,
  gone: AbortSignal
): Promise<void> {
  if (gone.aborted || response.write(`${JSON.stringify(line)}\n`)) return
  await new Promise<void>(resolve => {
    response.once('drain', resolve)
    gone.addEventListener('abort', () => resolve(), { once: true })
  })
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > REQUEST_BYTES_MAX) throw new GroveError('USAGE', 'the request is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function refusal(error: unknown): { readonly status: number; readonly body: ApiError } {
  const { code, message } = explainError(error)
  return { status: code === 'USAGE' ? 400 : 500, body: { error: { code, message } } }
}

function sendJson(
  response: ServerResponse,
  answered: { readonly status: number; readonly body: object }
): void {
  response.writeHead(answered.status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(answered.body))
}
