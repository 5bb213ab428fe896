/**
 * What a daemon that starts in the background tells the command that started it, over the
 * channel Node opens between a process and its child.
 *
 * @module
 */
import type { MountedStatus } from './api.ts'
import type { GroveErrorCode } from './grove-error.ts'
import type { HolderCodeAnswer } from './holder-api.ts'
import type { Progress } from './progress-bar.ts'

/** One message. */
export type LaunchMessage =
  | { readonly kind: 'alive' }
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'mounted'; readonly mounted: MountedStatus }
  | { readonly kind: 'hosting'; readonly code: HolderCodeAnswer }
  | { readonly kind: 'failed'; readonly code: GroveErrorCode; readonly message: string }

/** How often a starting daemon says that it is alive, in milliseconds. */
export const ALIVE_MS = 2_000
/** How long a starting daemon may be silent before it counts as stuck, in milliseconds. */
export const SILENCE_MS_MAX = 60_000
