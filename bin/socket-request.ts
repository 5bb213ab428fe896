/**
 * Asking a process that listens on a socket of its home; see `private-socket.ts`.
 *
 * @module
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { ApiError } from './api-error.ts'
import { GroveError } from './grove-error.ts'

/** How long the daemon may be silent while it works on a request, in milliseconds. */
export const SILENCE_MS_MAX = 60_000
/** The longest answer that is read, in bytes. */
export const ANSWER_BYTES_MAX = 4 * 1024 * 1024

/** What to ask, and where. */
export interface SocketRequest {
  /** The path of the socket. */
  readonly socket: string
  /** Gives up when aborted. */
  readonly signal: AbortSignal
  /** As of HTTP. */
  readonly method: string
  /** As of HTTP. */
  readonly path: string
  /** Sent as JSON. */
  readonly body?: object
}

/** Sends a request. @throws {GroveError} `NOT_RUNNING`, `NO_ANSWER`, `FAILED` */
export function sendRequest(asked: SocketRequest): Promise<IncomingMessage> {
  const { socket: socketPath, signal, method, path, body } = asked
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, method, path, signal, agent: false }, resolve)
    request.setTimeout(SILENCE_MS_MAX, () => request.destroy(new Error('silence')))
    request.once('error', error => reject(connectionError(error)))
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** Sends a request that is answered with JSON. @throws {GroveError} also what was answered */
export async function askForJson(asked: SocketRequest): Promise<unknown> {
  const response = await sendRequest(asked)
  const answer = await readAnswer(response)
  if (response.statusCode !== 200) throw refusal(answer)
  return answer
}

/** Reads an answer of JSON. @throws {GroveError} `NO_ANSWER` */
export async function readAnswer(response: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > ANSWER_BYTES_MAX) throw new RangeError('the answer is too long')
      chunks.push(chunk)
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch (error) {
    throw noAnswer(error)
  }
}

/** What an answer that is a refusal says. */
export function refusal(answer: unknown): GroveError {
  const error = (answer as Partial<ApiError>).error
  return new GroveError(error?.code ?? 'FAILED', error?.message ?? 'the daemon refused')
}

function connectionError(error: Error): GroveError {
  if (error.name === 'AbortError') return new GroveError('FAILED', 'interrupted', { cause: error })
  const code = 'code' in error ? error.code : undefined
  if (code === 'ENOENT' || code === 'ECONNREFUSED')
    return new GroveError('NOT_RUNNING', 'no daemon is running for this home', { cause: error })
  return noAnswer(error)
}

/** The error of a daemon that does not answer as it should. */
export function noAnswer(cause: unknown): GroveError {
  return new GroveError(
    'NO_ANSWER',
    'the daemon of this home does not answer; see its log in the home, or end the process',
    { cause }
  )
}
