/**
 * The daemon's requests about copies: which method of a {@link CustodyHandler} answers which.
 *
 * @module
 */
import {
  parseExplainRequest,
  parseHolderAddRequest,
  parseHolderKeepRequest,
  parseHolderRemoveRequest,
  parseOwnHolderRequest,
  parseRedundancyRequest,
  parseTrimRequest
} from './api-request.ts'
import type {
  ExplainAnswer,
  ExplainRequest,
  HolderAddRequest,
  HolderKeepRequest,
  HolderRemoveLine,
  HolderRemoveRequest,
  HoldersAnswer,
  HolderStatus,
  OwnDriveAnswer,
  OwnHolderRequest,
  RedundancyAnswer,
  RedundancyRequest,
  TrimAnswer,
  TrimRequest
} from './custody-api.ts'

/** What stands behind the socket for copies; each method answers one request. */
export interface CustodyHandler {
  /** Lists the computers of the drive. */
  holders(): Promise<HoldersAnswer>
  /** Adds a holder. */
  addHolder(request: HolderAddRequest): Promise<HolderStatus>
  /** Does without a holder; ends early when the client goes away. */
  removeHolder(request: HolderRemoveRequest, signal: AbortSignal): AsyncIterable<HolderRemoveLine>
  /** Goes on with a holder that was removed. */
  keepHolder(request: HolderKeepRequest): Promise<HolderStatus>
  /** Has holders forget copies that are more than wished. */
  trimHolders(request: TrimRequest): Promise<TrimAnswer>
  /** Hears a holder of this person, and says what others keep for them. */
  ownHolder(request: OwnHolderRequest): Promise<OwnDriveAnswer>
  /** Says how something is kept, or sets it. */
  redundancy(request: RedundancyRequest): Promise<RedundancyAnswer>
  /** Says who keeps something. */
  explain(request: ExplainRequest): Promise<ExplainAnswer>
}

/** Answers a request about copies with one answer. @returns undefined when it is none */
export function dispatchCustody(
  handler: CustodyHandler,
  route: string,
  body: string
): Promise<object> | undefined {
  switch (route) {
    case 'GET /v1/holders':
      return handler.holders()
    case 'POST /v1/holder-add':
      return handler.addHolder(parseHolderAddRequest(body))
    case 'POST /v1/holder-keep':
      return handler.keepHolder(parseHolderKeepRequest(body))
    case 'POST /v1/holder-trim':
      return handler.trimHolders(parseTrimRequest(body))
    case 'POST /v1/own-holder':
      return handler.ownHolder(parseOwnHolderRequest(body))
    case 'POST /v1/redundancy':
      return handler.redundancy(parseRedundancyRequest(body))
    case 'POST /v1/explain':
      return handler.explain(parseExplainRequest(body))
    default:
      return undefined
  }
}

/** Answers a request about copies with lines. @returns undefined when it is none */
export function custodyLines(asked: {
  readonly handler: CustodyHandler
  readonly route: string
  readonly body: string
  readonly signal: AbortSignal
}): AsyncIterable<HolderRemoveLine> | undefined {
  const { handler, route, body, signal } = asked
  if (route !== 'POST /v1/holder-remove') return undefined
  return handler.removeHolder(parseHolderRemoveRequest(body), signal)
}
