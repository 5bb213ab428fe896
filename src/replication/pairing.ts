/**
 * Inviting: how a device takes another into the drive.
 *
 * An invitation is a secret shown as a code. The first device that asks with it is attested, the
 * drive keys are sealed to it, both are recorded in this device's log and are durable before the
 * answer leaves; a device whose join was cut short then is a member that nobody uses, and joins
 * anew, with new keys and a new code.
 *
 * An invitation lives in this process's memory and ends with it. It is kept for a while after it
 * was used or expired, so that whoever comes late with its code hears why it is of no use.
 *
 * @module
 */
import type { DevicePublicKeys } from '../crypto/device-keys.ts'
import { sealDeviceName } from '../crypto/device-name.ts'
import { sealDriveKey } from '../crypto/drive-key-envelope.ts'
import { proveDevice } from '../crypto/identity.ts'
import { INVITATION_SECRET_BYTES, encodeInvitationCode } from '../crypto/invitation-code.ts'
import type { KeyFileContent } from '../crypto/key-file.ts'
import { openMemberStatement, signMemberStatement } from '../crypto/member-statement.ts'
import { signPairingAnswer } from '../crypto/pairing-answer.ts'
import { invitationName, openPairingRequest } from '../crypto/pairing-request.ts'
import type { PairingRequest } from '../crypto/pairing-request.ts'
import type { Random } from '../crypto/random.ts'
import { blake2bOfParts, equalBytes, wipe } from '../crypto/sodium.ts'
import type { Clock } from '../sync/clock.ts'
import { memberId, type Member, type Members } from '../sync/members.ts'
import type { Operation } from '../sync/operation.ts'
import { offerPairing, type PairingReply, type PairingSide } from './pairing-carrier.ts'
import type { PeerNetwork } from './peer-network.ts'
import { ReplicationError } from './replication-error.ts'

/** How long an invitation can be used unless told otherwise, in minutes. */
export const INVITATION_MINUTES = 10
/** How long an invitation can be used at most, in minutes: a day. */
export const INVITATION_MINUTES_MAX = 24 * 60
/** How long an expired or used invitation still says so after its expiry, in milliseconds. */
export const INVITATION_LINGER_MS = 10 * 60_000
/** How many invitations there are at a time; one more ends the oldest. */
export const INVITATIONS_MAX = 8

/** What inviting needs. */
export interface PairingParts {
  /** This device's keys and the drive's. */
  readonly keys: Pick<KeyFileContent, 'deviceKeys' | 'drive' | 'recoveryKey' | 'identity' | 'keys'>
  /** Who belongs to the drive; a new member is added. */
  readonly members: Members
  /** Appends operations to this device's log; they are durable when it resolves. */
  readonly record: (operations: readonly Operation[]) => Promise<void>
  /** Opens a network with a fresh key of its own, for one invitation; this closes it. */
  readonly openNetwork: () => PeerNetwork
  /** The time. */
  readonly clock: Clock
  /** Secrets and nonces. */
  readonly random: Random
  /** Told of notable events and faults, in words without names and keys. */
  readonly report: (message: string, error?: unknown) => void
}

/** An invitation as its maker shows it. */
export interface Invitation {
  /** One line of 40 characters. */
  readonly code: string
  /** Until when it can be used, in milliseconds since 1970. */
  readonly expiresMs: number
}

/** The invitations of one device. */
export class Pairing {
  readonly #parts: PairingParts
  readonly #open = new Set<OpenInvitation>()
  #closing: Promise<void> | undefined

  constructor(parts: PairingParts) {
    this.#parts = parts
  }

  /**
   * Makes an invitation; it works once, and at once.
   *
   * @param options.minutes - how long it can be used, more than 0, at most
   *   {@link INVITATION_MINUTES_MAX}
   * @throws {ReplicationError} `REFUSED` when this device may not invite, `CLOSED`
   * @throws {RangeError} for minutes out of bounds
   */
  createInvitation(options: { readonly minutes?: number } = {}): Invitation {
    const { minutes = INVITATION_MINUTES } = options
    if (!(minutes > 0 && minutes <= INVITATION_MINUTES_MAX)) {
      throw new RangeError(`an invitation lasts at most ${INVITATION_MINUTES_MAX} minutes`)
    }
    if (this.#closing !== undefined) throw new ReplicationError('CLOSED', 'the drive is closing')
    inviterOf(this.#parts)
    const [oldest] = this.#open
    if (oldest !== undefined && this.#open.size >= INVITATIONS_MAX) this.#end(oldest)
    const made = new OpenInvitation(this.#parts, minutes * 60_000, () => this.#end(made))
    this.#open.add(made)
    return { code: made.code, expiresMs: made.expiresMs }
  }

  /** Ends all invitations and waits. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= Promise.all([...this.#open].map(one => one.close())).then(() => undefined)
    return this.#closing
  }

  #end(invitation: OpenInvitation): void {
    const { report } = this.#parts
    invitation
      .close()
      .catch((error: unknown) => report('an invitation did not close', error))
      .finally(() => this.#open.delete(invitation))
  }
}

/** One invitation and whom it took in. */
class OpenInvitation {
  readonly code: string
  readonly expiresMs: number
  readonly #parts: PairingParts
  readonly #name: Uint8Array
  readonly #side: PairingSide
  readonly #timer: { cancel(): void }
  #taken: { readonly request: Uint8Array; readonly reply: Promise<PairingReply> } | undefined

  constructor(parts: PairingParts, lastsMs: number, onEnd: () => void) {
    const { clock, random, openNetwork } = parts
    const secret = random.bytes(INVITATION_SECRET_BYTES)
    this.#parts = parts
    this.#name = invitationName(secret)
    this.expiresMs = Math.ceil((nowMs(clock) + lastsMs) / 1000) * 1000
    this.code = encodeInvitationCode({ secret, expiresMs: this.expiresMs })
    const onRequest = (request: Uint8Array) => this.#reply(request)
    this.#side = offerPairing({ network: openNetwork(), secret, clock, onRequest })
    wipe(secret)
    this.#timer = clock.after(lastsMs + INVITATION_LINGER_MS, onEnd)
  }

  async close(): Promise<void> {
    this.#timer.cancel()
    await this.#side.close()
  }

  /** The same reply to the same request: it may not have arrived. */
  async #reply(request: Uint8Array): Promise<PairingReply> {
    if (this.#taken !== undefined) {
      return equalBytes(this.#taken.request, request) ? this.#taken.reply : { refusal: 'used' }
    }
    if (nowMs(this.#parts.clock) >= this.expiresMs) return { refusal: 'expired' }
    let opened: PairingRequest
    try {
      opened = openPairingRequest(request, this.#name)
    } catch (error) {
      this.#parts.report('a device that asked to join was refused', error)
      return { refusal: 'refused' }
    }
    this.#taken = { request, reply: this.#admit(opened, request) }
    return this.#taken.reply
  }

  async #admit(opened: PairingRequest, request: Uint8Array): Promise<PairingReply> {
    const { report } = this.#parts
    try {
      const answer = await admit(this.#parts, opened, request)
      report('a device was taken in')
      return { answer }
    } catch (error) {
      report('a device that asked to join was refused', error)
      return { refusal: 'refused' }
    }
  }
}

/** Attests a device and hands it the keys; it is a member, durably, when this resolves. */
async function admit(
  parts: PairingParts,
  { device, name }: PairingRequest,
  request: Uint8Array
): Promise<Uint8Array> {
  const { keys, members, record } = parts
  checkIsNew(members, device)
  const statements = members.statements()
  const envelopes = keys.keys
    .rows()
    .map(row =>
      sealDriveKey({ row, drive: keys.drive, recipient: device.box, random: parts.random })
    )
  const attestation = attest(parts, { device, name, envelopesHash: blake2bOfParts(envelopes) })
  // Made before anything is recorded: a member whose answer cannot be made is of no use.
  const answer = signPairingAnswer({
    answer: {
      drive: keys.drive,
      recoveryKey: keys.recoveryKey,
      envelopes,
      statements,
      attestation
    },
    request,
    inviter: keys.deviceKeys.signing
  })
  const operations: readonly Operation[] = [
    { type: 'statement', bytes: attestation },
    ...envelopes.map(bytes => ({ type: 'envelope', bytes }) as const)
  ]
  await record(operations)
  members.add(attestation)
  return answer
}

function attest(
  parts: PairingParts,
  subject: {
    readonly device: DevicePublicKeys
    readonly name: string
    readonly envelopesHash: Uint8Array
  }
): Uint8Array {
  const { keys, members, random, clock } = parts
  const { device, name, envelopesHash } = subject
  const inviter = inviterOf(parts)
  const issuedMs = nowMs(clock)
  const parent = keys.deviceKeys.signing
  const parentProof = openMemberStatement(inviter.statement).proof
  return signMemberStatement(
    {
      action: 'attest',
      ...members.head,
      identity: keys.identity,
      subject: device,
      rights: inviter.rights,
      issuedMs,
      ...(inviter.expiresMs === undefined ? {} : { expiresMs: inviter.expiresMs }),
      envelopesHash,
      cuts: [],
      sealedName: sealDeviceName({ name, device: device.signing, keys: keys.keys, random }),
      proof: proveDevice({ device: device.signing, parent, parentProof, timeMs: issuedMs })
    },
    parent
  )
}

/** This device as a member that may invite. */
function inviterOf({ keys, members, clock }: PairingParts): Member {
  const own = members.bySigning(memberId(keys.deviceKeys.signing.publicKey))
  const isCurrent = own !== undefined && (own.expiresMs ?? Number.POSITIVE_INFINITY) > nowMs(clock)
  if (!isCurrent || own.isSuspended || !own.rights.includes('invite')) {
    throw new ReplicationError('REFUSED', 'this device may not invite others')
  }
  return own
}

/** One device is one member: keys that are known already come from a mistake or an attack. */
function checkIsNew(members: Members, { signing, network }: DevicePublicKeys): void {
  const known = members.bySigning(memberId(signing)) ?? members.byNetwork(network)
  if (known !== undefined) throw new ReplicationError('REFUSED', 'the device is a member already')
}

function nowMs(clock: Clock): number {
  const { sec, nsec } = clock.now()
  return sec * 1_000 + Math.floor(nsec / 1_000_000)
}
