/**
 * What we take of what the kernel offers in INIT. Each choice was paid for by an experiment:
 *
 * - No writeback cache: with it the kernel owns size and mtime and shows stale ones.
 * - EXPLICIT_INVAL_DATA and not AUTO_INVAL_DATA: we say when content changed.
 * - HANDLE_KILLPRIV_V2: without it every small write asks for an attribute first. In return we
 *   clear set-user-ID and set-group-ID ourselves.
 * - No POSIX or flock locks: the kernel then keeps them locally and correctly.
 * - No DONT_MASK: the kernel applies the umask.
 * - Many requests in the background, or reads that wait for the network hold up local ones.
 *
 * @module
 */
import {
  InitFlag,
  InitFlag2,
  PROTOCOL_MAJOR,
  PROTOCOL_MINOR_MAX,
  PROTOCOL_MINOR_MIN,
  TRANSFER_BYTES_MAX
} from './fuse-protocol.ts'
import type { InitReply } from './fuse-reply.ts'
import type { InitRequest } from './fuse-request.ts'

/** Requests that nobody waits for, such as reading ahead, at a time. */
export const BACKGROUND_MAX = 4096

const FLAGS = Object.values(InitFlag).reduce((all, flag) => all | flag, 0)
const FLAGS_2 = Object.values(InitFlag2).reduce((all, flag) => all | flag, 0)

/**
 * @returns the answer; `retry` when the kernel is newer than us and has to ask again with our
 *   major version; `too old` when its messages have other sizes than we know
 */
export function negotiate(init: InitRequest): InitReply | 'retry' | 'too old' {
  if (init.major > PROTOCOL_MAJOR) return 'retry'
  if (init.major < PROTOCOL_MAJOR || init.minor < PROTOCOL_MINOR_MIN) return 'too old'
  return {
    minor: Math.min(init.minor, PROTOCOL_MINOR_MAX),
    maxReadaheadBytes: Math.max(init.maxReadaheadBytes, TRANSFER_BYTES_MAX),
    flags: init.flags & FLAGS,
    flags2: (init.flags & InitFlag.INIT_EXT) === 0 ? 0 : init.flags2 & FLAGS_2,
    maxBackground: BACKGROUND_MAX
  }
}
