/**
 * Joining: how a new device receives the drive that an invitation stands for.
 *
 * Its keys are made here and never leave it. Nothing is written to disk: when it fails,
 * nothing was kept.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import { DeviceKeys } from '../crypto/device-keys.ts'
import { decodeInvitationCode, type InvitationCode } from '../crypto/invitation-code.ts'
import { invitationName, signPairingRequest } from '../crypto/pairing-request.ts'
import type { Random } from '../crypto/random.ts'
import type { Clock } from '../sync/clock.ts'
import { openReceivedDrive, type ReceivedDrive } from './open-received-drive.ts'
import { sendPairingRequest, type PairingRefusal, type PairingReply } from './pairing-carrier.ts'
import type { PeerNetwork } from './peer-network.ts'
import { ReplicationError, type ReplicationErrorCode } from './replication-error.ts'

/** How long an answer is waited for unless told otherwise, in milliseconds. */
export const RECEIVE_DEADLINE_MS = 60_000
/** The same when the code has expired by our clock, which may be wrong. */
export const RECEIVE_EXPIRED_DEADLINE_MS = 8_000

/** How far joining has got: `searching` the inviter, `asking` it, `checking` its answer. */
export type ReceiveStep = 'searching' | 'asking' | 'checking'

/** How to join. */
export interface ReceiveDriveOptions {
  /** The code as the person typed it. */
  readonly code: string
  /** What this device is to be called: 1 to 63 bytes in UTF-8. */
  readonly name: string
  /** Opens a network with a fresh key of its own; this closes it. */
  readonly openNetwork: () => PeerNetwork
  /** The time. */
  readonly clock: Clock
  /** This device's keys are drawn from it. */
  readonly random: Random
  /** How long to try, in milliseconds; the connection may break and come back meanwhile. */
  readonly deadlineMs?: number
  /** Gives up when aborted. */
  readonly signal?: AbortSignal
  /** Told of each step once, in order. */
  readonly onProgress?: (step: ReceiveStep) => void
}

/**
 * Joins the drive of an invitation.
 *
 * @throws {ReplicationError} `BAD_CODE`, `NEWER_FORMAT`, `EXPIRED`, `USED`, `NO_ANSWER`,
 *   `REFUSED`, `BAD_ANSWER`, `INTERRUPTED`
 * @throws {RangeError} when the name is empty or too long
 */
export async function receiveDrive(options: ReceiveDriveOptions): Promise<ReceivedDrive> {
  const { name, random, onProgress = () => undefined } = options
  const code = decodedCode(options.code)
  const deviceKeys = DeviceKeys.generate(random)
  const invitation = invitationName(code.secret)
  const request = signPairingRequest({ deviceKeys, name, invitation })
  const answer = await askForAnswer({ ...options, onProgress }, code, request)
  onProgress('checking')
  try {
    return openReceivedDrive({ answer, request, deviceKeys, name, random })
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause
    if (cause.code === 'NEWER_FORMAT') throw newer(cause)
    throw new ReplicationError(
      'BAD_ANSWER',
      'what the other device handed over is not genuine; nothing of it was kept',
      { cause }
    )
  }
}

function decodedCode(text: string): InvitationCode {
  try {
    return decodeInvitationCode(text)
  } catch (cause) {
    if (cause instanceof CryptoError && cause.code === 'NEWER_FORMAT') throw newer(cause)
    throw new ReplicationError(
      'BAD_CODE',
      'this is no code of an invitation; copy the whole line that `grove invite` printed',
      { cause }
    )
  }
}

function newer(cause: CryptoError): ReplicationError {
  const text = 'the invitation was made by a newer grove; update grove on this device'
  return new ReplicationError('NEWER_FORMAT', text, { cause })
}

/** Asks until there is an answer, a refusal, or no time left; then leaves the network. */
async function askForAnswer(
  options: ReceiveDriveOptions & { readonly onProgress: (step: ReceiveStep) => void },
  { secret, expiresMs }: InvitationCode,
  request: Uint8Array
): Promise<Uint8Array> {
  const { openNetwork, clock, onProgress, signal } = options
  if (signal?.aborted === true) throw interrupted()
  const isExpired = clock.now().sec * 1_000 >= expiresMs
  const patienceMs = isExpired ? RECEIVE_EXPIRED_DEADLINE_MS : RECEIVE_DEADLINE_MS
  const network = openNetwork()
  const { promise, resolve, reject } = deferred<Uint8Array>()
  const onAbort = () => reject(interrupted())
  signal?.addEventListener('abort', onAbort)
  let isAsking = false
  onProgress('searching')
  const side = sendPairingRequest({
    network,
    secret,
    clock,
    request,
    onConnected: () => {
      if (!isAsking) onProgress('asking')
      isAsking = true
    },
    onReply: (reply: PairingReply) => {
      if ('answer' in reply) resolve(reply.answer)
      else reject(refusalError(reply.refusal))
    }
  })
  const timer = clock.after(options.deadlineMs ?? patienceMs, () => {
    reject(isExpired ? refusalError('expired') : unanswered(isAsking))
  })
  try {
    return await promise
  } finally {
    timer.cancel()
    signal?.removeEventListener('abort', onAbort)
    await side.close()
  }
}

const REFUSALS: Readonly<Record<PairingRefusal, readonly [ReplicationErrorCode, string]>> = {
  refused: ['REFUSED', 'the device that invited did not take this one in; its log says why'],
  used: ['USED', 'the invitation has been used; make another with `grove invite`'],
  expired: ['EXPIRED', 'the invitation has expired; make another with `grove invite`']
}

function refusalError(refusal: PairingRefusal): ReplicationError {
  return new ReplicationError(...REFUSALS[refusal])
}

function unanswered(isAsking: boolean): ReplicationError {
  const text = isAsking
    ? 'the connection broke before the answer came; try again with a new invitation'
    : 'nobody answers to this code; is the device that invited on, with its drive mounted, and on the same network?'
  return new ReplicationError('NO_ANSWER', text)
}

function interrupted(): ReplicationError {
  return new ReplicationError('INTERRUPTED', 'joining was given up')
}

function deferred<Value>() {
  let resolve: (value: Value) => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  const promise = new Promise<Value>((onValue, onError) => {
    resolve = onValue
    reject = onError
  })
  return { promise, resolve, reject }
}
