/**
 * The channel of a device that asks a keeper and answers nothing itself.
 *
 * @module
 */
import { encodeRefusal } from './custody-message.ts'
import { CustodyRpc } from './custody-rpc.ts'
import { GuardedMux } from './guarded-mux.ts'
import type { PeerConnection } from './peer-network.ts'

/** What such a channel is on. */
export interface CustodyChannelParts {
  /** The connection; it is closed when the other end sends what no keeper sends. */
  readonly connection: PeerConnection
  /** Whether the connection has a multiplexer; else one is made, before anything else is. */
  readonly hasMux: boolean
  /** Told once when the channel is closed. */
  readonly onClose: () => void
}

/** Opens it. @throws {ReplicationError} `CLOSED` */
export function openCustodyChannel({
  connection,
  hasMux,
  onClose
}: CustodyChannelParts): CustodyRpc {
  const onFault = (): void => void connection.close()
  if (!hasMux) GuardedMux.install(connection.stream, { admits: () => true, onFault })
  return CustodyRpc.open({
    stream: connection.stream,
    answer: () => Promise.resolve(encodeRefusal('REFUSED', 'no keeper')),
    onFault,
    onClose
  })
}
