/**
 * For how long a keeper keeps what it promised when nobody asks any more.
 *
 * Time is the keeper's own time online, a stored counter: nothing that is done to a clock makes
 * it forget, and neither does a year in which it was switched off. A person who does not come for
 * {@link LEASE_SEC} of it is on notice; {@link NOTICE_SEC} later what is kept for them may go.
 * Whoever comes meanwhile begins anew.
 *
 * @module
 */

const DAY_SEC = 24 * 60 * 60

/** For how long everything is kept after a device was last here, in seconds online. */
export const LEASE_SEC: number = 400 * DAY_SEC

/** How much longer it is kept when that is over, in seconds online. */
export const NOTICE_SEC: number = 60 * DAY_SEC

/** Whether what is under receipt is kept, is about to go, or may go. */
export type LeaseState = 'kept' | 'notice' | 'ended'

/**
 * How a lease stands.
 *
 * @param sinceSec - how long ago a device was last here, in seconds online
 */
export function leaseState(sinceSec: number): LeaseState {
  if (sinceSec < LEASE_SEC) return 'kept'
  return sinceSec < LEASE_SEC + NOTICE_SEC ? 'notice' : 'ended'
}
