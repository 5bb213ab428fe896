/**
 * What a keeper answers to each request of a member, and which errors it admits to.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import type { Member } from '../sync/members.ts'
import { SyncError } from '../sync/sync-error.ts'
import {
  decodeRequest,
  encodeAnswer,
  encodeRefusal,
  type CustodyAnswer,
  type CustodyMethod,
  type CustodyRequest
} from './custody-message.ts'
import type { KeeperRefusal } from './holder-link.ts'
import { DURABLE_MS_MAX, type KeeperPerson } from './keeper-person.ts'
import { ReplicationError } from './replication-error.ts'

/** What a member asks of a keeper once it is known. */
export type MemberMethod = Exclude<CustodyMethod, 'hello'>

/** Who asks. */
export interface KeeperCaller {
  /** What is kept for the person. */
  readonly person: KeeperPerson
  /** The device. */
  readonly member: Member
  /** Aborted when the connection ends. */
  readonly signal: AbortSignal
  /** Does something that is given up then too, and at the latest after so long. */
  readonly within: <T>(ms: number, work: (signal: AbortSignal) => Promise<T>) => Promise<T>
  /** Told of a record of the hash table. */
  readonly onLocator: (record: Uint8Array) => void
}

type Handlers = {
  readonly [Method in MemberMethod]: (
    caller: KeeperCaller,
    request: CustodyRequest<Method>
  ) => Promise<CustodyAnswer<Method>> | CustodyAnswer<Method>
}

const DONE = {}

const HANDLERS: Handlers = {
  logs: async ({ person }, { announcements }) => {
    await person.learn(announcements)
    return DONE
  },
  hold: async ({ person, signal }, { blocks }) => ({
    receipt: await person.hold(blocks, signal)
  }),
  receipts: ({ person }, { since }) => person.book.since(since),
  challenge: ({ person }, { statement }) => person.audits.answer(statement),
  usage: async ({ person }) => {
    await person.space.countOperations()
    return person.usage
  },
  fetch: async ({ person }, request) => ({ block: await person.fetch(request) }),
  durable: async ({ person, within }, request) => {
    await within(DURABLE_MS_MAX, signal => person.durable(request, signal))
    return DONE
  },
  release: async ({ person }, { statement }) => {
    await person.releases.add(statement)
    await person.drops.dropGarbage()
    return DONE
  },
  releases: ({ person }, { after }) => person.releases.next(after),
  mark: async ({ person }, { blocks }) => ({ attempt: await person.drops.mark(blocks) }),
  unmark: ({ person }, { attempt }) => {
    person.drops.unmark(attempt)
    return DONE
  },
  lock: async ({ person }, request) => ({ statement: await person.drops.lock(request) }),
  drop: async ({ person }, { attempt, locks }) => ({
    receipt: await person.drops.drop(attempt, locks)
  }),
  putSummary: async ({ person, member }, { summary }) => {
    await person.summaries.put(member.signing, summary)
    return DONE
  },
  summaries: ({ person }, { after }) => person.summaries.next(after),
  putLocator: async ({ person, onLocator }, { record }) => {
    await person.summaries.putLocator(record)
    onLocator(record)
    return DONE
  },
  balance: async ({ person }, { accepted }) => {
    if (accepted !== undefined) await person.balances.accept(accepted)
    return { proposal: person.balances.propose(), settled: person.balances.settled }
  }
}

/** What came of a request: bytes that answer it, and what went wrong with this computer. */
export interface MethodOutcome {
  /** The answer or the refusal. */
  readonly bytes: Uint8Array
  /** What the keeper's owner should know. */
  readonly failure?: unknown
}

/**
 * Answers a request of a member.
 *
 * @param bytes - the request, from anyone
 * @throws {CryptoError} when it is none; then nothing was done
 */
export function answerMember(
  caller: KeeperCaller,
  method: MemberMethod,
  bytes: Uint8Array
): Promise<MethodOutcome> {
  return answered(caller, method, decodeRequest(method, bytes))
}

async function answered<Method extends MemberMethod>(
  caller: KeeperCaller,
  method: Method,
  request: CustodyRequest<Method>
): Promise<MethodOutcome> {
  try {
    const answer = await HANDLERS[method](caller, request)
    return { bytes: encodeAnswer(method, answer) }
  } catch (error) {
    return refusalOf(error)
  }
}

/** What a keeper says when something fails. It never tells more than a code and why. */
function refusalOf(error: unknown): MethodOutcome {
  if (error instanceof ReplicationError) {
    const { code, message } = error
    if (isRefusal(code)) return { bytes: encodeRefusal(code, message) }
  }
  if (error instanceof CryptoError)
    return { bytes: encodeRefusal('REFUSED', 'a statement is not genuine') }
  if (error instanceof SyncError) {
    if (error.code === 'NO_SPACE')
      return { bytes: encodeRefusal('FULL', 'the disk is full'), failure: error }
    if (ABSENT.has(error.code))
      return { bytes: encodeRefusal('UNAVAILABLE', 'the blocks did not come') }
  }
  return { bytes: encodeRefusal('UNAVAILABLE', 'the keeper failed'), failure: error }
}

const ABSENT: ReadonlySet<string> = new Set([
  'UNREACHABLE',
  'TIMED_OUT',
  'INTERRUPTED',
  'MISSING',
  'CLOSED'
])

function isRefusal(code: ReplicationError['code']): code is KeeperRefusal {
  return (
    code === 'FULL' ||
    code === 'IMBALANCE' ||
    code === 'UNAVAILABLE' ||
    code === 'REFUSED' ||
    code === 'KEEP_LOCKED'
  )
}
