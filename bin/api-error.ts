/**
 * How a daemon refuses a request over its socket.
 *
 * @module
 */
import type { GroveErrorCode } from './grove-error.ts'

/** A refusal. */
export interface ApiError {
  /** Why. */
  readonly error: { readonly code: GroveErrorCode; readonly message: string }
}
