/**
 * What the other devices of a drive have seen, as far as it is known here: what a device has not
 * seen superseded it may still base a version on.
 *
 * @module
 */
import type { LogKey } from './log.ts'
import type { OperationId } from './operation.ts'
import type { RemoteLogPair } from './remote-logs.ts'

/** What the newest merged entry of a log had seen. */
export interface SeenLog {
  /** The log. */
  readonly log: LogKey
  /** How many of its entries are merged here. */
  readonly length: number
  /** For other logs how many of their entries its author had merged. */
  readonly seen: ReadonlyMap<LogKey, number>
}

/**
 * The operation logs of each device by which to tell what it has seen. Those that the device has
 * gone on from in a later epoch are left out: nobody writes to them any more.
 *
 * @param newestOf - what is known of a log
 */
export function devicesOf(
  pairs: Iterable<RemoteLogPair>,
  newestOf: (log: LogKey) => SeenLog
): readonly (readonly SeenLog[])[] {
  const devices = new Map<string, SeenLog[]>()
  for (const { operationLog, deviceId = operationLog.key } of pairs) {
    const logs = devices.get(deviceId) ?? []
    logs.push(newestOf(operationLog.key))
    devices.set(deviceId, logs)
  }
  return [...devices.values()].map(logs => logs.filter(log => !isEnded(log, logs)))
}

/** Whether a device has seen an operation, in every log that it may go on in. */
export function hasPassed(logs: readonly SeenLog[], by: OperationId): boolean {
  return logs.every(({ log, length, seen }) => {
    return (log === by.log ? length : (seen.get(by.log) ?? 0)) > by.index
  })
}

/** Whether a later epoch of the same device has seen all of a log. */
function isEnded({ log, length }: SeenLog, logs: readonly SeenLog[]): boolean {
  return logs.some(other => other.log !== log && (other.seen.get(log) ?? 0) >= Math.max(1, length))
}
