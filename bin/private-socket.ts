/**
 * HTTP on a Unix socket that only its owner may connect to.
 *
 * @module
 */
import { chmod, unlink } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { ApiError } from './api-error.ts'
import { REQUEST_BYTES_MAX } from './api.ts'
import { FILE_MODE } from './atomic-file.ts'
import { explainError } from './explain-error.ts'
import { GroveError } from './grove-error.ts'

/** How long a client may take to send its request, in milliseconds. */
export const REQUEST_MS_MAX = 10_000

/** See the module. */
export class PrivateSocket {
  readonly #server: Server
  readonly #path: string

  private constructor(server: Server, path: string) {
    this.#server = server
    this.#path = path
  }

  /**
   * Listens. A socket that is left over at the path is removed, so the caller must hold the
   * home's lock.
   *
   * @param answer - answers a request; when it rejects the connection is broken off
   */
  static async listen(
    path: string,
    answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>
  ): Promise<PrivateSocket> {
    await unlink(path).catch(() => undefined)
    const server = createServer({ requestTimeout: REQUEST_MS_MAX }, (request, response) => {
      answer(request, response).catch(() => response.destroy())
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    await chmod(path, FILE_MODE)
    return new PrivateSocket(server, path)
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

/** Answers with what went wrong. @throws `error` when the answer has begun already */
export function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) throw error
  sendJson(response, refusal(error))
}

/** Reads the body of a request. @throws {GroveError} `USAGE` when it is too large */
export async function readBody(request: IncomingMessage): Promise<string> {
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

/** Answers with JSON. */
export function sendJson(
  response: ServerResponse,
  answered: { readonly status: number; readonly body: object }
): void {
  response.writeHead(answered.status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(answered.body))
}
