/**
 * The daemon's socket: HTTP in front of a {@link ApiHandler}. Only the owner may connect.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ERROR_TRAILER } from './api.ts'
import type {
  CatRequest,
  ConflictsAnswer,
  DaemonStatus,
  DevicesAnswer,
  InviteAnswer,
  InviteRequest,
  MountRequest,
  MountedStatus,
  ResolveAnswer,
  ResolveRequest,
  SettingRequest,
  StopAnswer,
  SyncLine,
  SyncRequest,
  UnmountAnswer,
  UnmountRequest,
  VerifyLine,
  VersionsAnswer,
  VersionsRequest
} from './api.ts'
import {
  parseCatRequest,
  parseInviteRequest,
  parseMountRequest,
  parseResolveRequest,
  parseSettingRequest,
  parseSyncRequest,
  parseUnmountRequest,
  parseVersionsRequest
} from './api-request.ts'
import type { HolderRemoveLine } from './custody-api.ts'
import { custodyLines, dispatchCustody, type CustodyHandler } from './custody-routes.ts'
import { explainError } from './explain-error.ts'
import { GroveError } from './grove-error.ts'
import { PrivateSocket, readBody, refuse, sendJson } from './private-socket.ts'

/** What stands behind the socket; each method answers one request. */
export interface ApiHandler extends CustodyHandler {
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
  /** Makes an invitation. */
  invite(request: InviteRequest): Promise<InviteAnswer>
  /** Lists the devices of the drive. */
  devices(): Promise<DevicesAnswer>
  /** Lists conflict copies. */
  conflicts(): Promise<ConflictsAnswer>
  /** Ends a conflict. */
  resolve(request: ResolveRequest): Promise<ResolveAnswer>
  /** Lists the versions of a file. */
  versions(request: VersionsRequest): Promise<VersionsAnswer>
  /** Reads a version of a file; ends early when the client goes away. */
  cat(request: CatRequest, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Says what is not here yet; ends early when the client goes away. */
  catchUp(request: SyncRequest, signal: AbortSignal): AsyncIterable<SyncLine>
  /** Makes everything safe; the process ends once the answer has been sent. */
  stop(): Promise<StopAnswer>
}

/** A socket that answers. */
export class ApiServer {
  readonly #socket: PrivateSocket

  private constructor(socket: PrivateSocket) {
    this.#socket = socket
  }

  /** Listens; see {@link PrivateSocket.listen}. */
  static async listen(path: string, handler: ApiHandler): Promise<ApiServer> {
    const listener = (request: IncomingMessage, response: ServerResponse): Promise<void> =>
      answer(handler, request, response)
    return new ApiServer(await PrivateSocket.listen(path, listener))
  }

  /** Ends; see {@link PrivateSocket.close}. */
  async close(graceMs: number): Promise<void> {
    await this.#socket.close(graceMs)
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
    await answerRoute(handler, { route, body, response })
  } catch (error) {
    refuse(response, error)
  }
}

/** What was asked, and where the answer goes. */
interface Asked {
  readonly route: string
  readonly body: string
  readonly response: ServerResponse
}

/** Answers that come in pieces first: they end when the client goes away. */
async function answerRoute(handler: ApiHandler, asked: Asked): Promise<void> {
  const { route, body, response } = asked
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  switch (route) {
    case 'POST /v1/verify':
      return answerLines(response, gone.signal, handler.verify(gone.signal))
    case 'POST /v1/sync':
      return answerLines(
        response,
        gone.signal,
        handler.catchUp(parseSyncRequest(body), gone.signal)
      )
    case 'POST /v1/cat':
      return answerBytes(response, gone.signal, handler.cat(parseCatRequest(body), gone.signal))
    default:
  }
  const lines = custodyLines({ handler, route, body, signal: gone.signal })
  if (lines !== undefined) return answerLines(response, gone.signal, lines)
  return sendJson(response, { status: 200, body: await dispatch(handler, route, body) })
}

async function dispatch(handler: ApiHandler, route: string, body: string): Promise<object> {
  const answered = dispatchCustody(handler, route, body)
  if (answered !== undefined) return answered
  switch (route) {
    case 'GET /v1/status':
      return handler.status()
    case 'POST /v1/mount':
      return handler.mount(parseMountRequest(body))
    case 'POST /v1/unmount':
      return handler.unmount(parseUnmountRequest(body))
    case 'POST /v1/setting':
      return handler.changeSetting(parseSettingRequest(body))
    case 'POST /v1/invite':
      return handler.invite(parseInviteRequest(body))
    case 'GET /v1/devices':
      return handler.devices()
    case 'GET /v1/conflicts':
      return handler.conflicts()
    case 'POST /v1/resolve':
      return handler.resolve(parseResolveRequest(body))
    case 'POST /v1/versions':
      return handler.versions(parseVersionsRequest(body))
    case 'POST /v1/stop':
      return handler.stop()
    default:
      throw new GroveError('USAGE', 'the daemon knows no such request; is it another version?')
  }
}

async function answerLines(
  response: ServerResponse,
  gone: AbortSignal,
  lines: AsyncIterable<VerifyLine | SyncLine | HolderRemoveLine>
): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  try {
    for await (const line of lines) await sendLine(response, gone, line)
  } catch (error) {
    const { code, message } = explainError(error)
    if (!gone.aborted) await sendLine(response, gone, { kind: 'error', error: { code, message } })
  }
  response.end()
}

function sendLine(
  response: ServerResponse,
  gone: AbortSignal,
  line: VerifyLine | SyncLine | HolderRemoveLine
): Promise<void> {
  return send(response, gone, `${JSON.stringify(line)}\n`)
}

/** The first piece decides between bytes and a refusal; what fails later goes to the trailer. */
async function answerBytes(
  response: ServerResponse,
  gone: AbortSignal,
  pieces: AsyncIterable<Uint8Array>
): Promise<void> {
  const iterator = pieces[Symbol.asyncIterator]()
  let piece = await iterator.next()
  response.writeHead(200, { 'content-type': 'application/octet-stream', trailer: ERROR_TRAILER })
  try {
    for (; piece.done !== true && !gone.aborted; piece = await iterator.next())
      await send(response, gone, piece.value)
  } catch (error) {
    const { code, message } = explainError(error)
    response.addTrailers({ [ERROR_TRAILER]: encodeURIComponent(JSON.stringify({ code, message })) })
  } finally {
    await iterator.return?.()
  }
  response.end()
}

/** Sends something and waits while the client is slower than we are. */
async function send(
  response: ServerResponse,
  gone: AbortSignal,
  piece: string | Uint8Array
): Promise<void> {
  if (gone.aborted || response.write(piece)) return
  await new Promise<void>(resolve => {
    const ready = (): void => {
      response.off('drain', ready)
      gone.removeEventListener('abort', ready)
      resolve()
    }
    response.on('drain', ready)
    gone.addEventListener('abort', ready)
  })
}
