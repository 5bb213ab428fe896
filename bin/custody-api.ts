/**
 * What the daemon answers about copies: holders, levels, who keeps what, what survives. JSON over
 * the socket, beside the requests of `api.ts`:
 *
 * | request | body | answer |
 * |---|---|---|
 * | `GET /v1/holders` | | {@link HoldersAnswer} |
 * | `POST /v1/holder-add` | {@link HolderAddRequest} | {@link HolderStatus} |
 * | `POST /v1/holder-remove` | {@link HolderRemoveRequest} | lines of {@link HolderRemoveLine} |
 * | `POST /v1/holder-keep` | {@link HolderKeepRequest} | {@link HolderStatus} |
 * | `POST /v1/holder-trim` | {@link TrimRequest} | {@link TrimAnswer} |
 * | `POST /v1/own-holder` | {@link OwnHolderRequest} | {@link OwnDriveAnswer} |
 * | `POST /v1/redundancy` | {@link RedundancyRequest} | {@link RedundancyAnswer} |
 * | `POST /v1/explain` | {@link ExplainRequest} | {@link ExplainAnswer} |
 *
 * @module
 */
import type { ApiError } from './api-error.ts'
import type { JsonName } from './printable-name.ts'

/** How many files at risk one answer lists at most, the weakest first. */
export const AT_RISK_LISTED_MAX = 100

/** The longest code of a holder that is looked at, in characters; people add spaces and hyphens. */
export const HOLDER_CODE_LENGTH_MAX = 200

/** The fewest hexadecimal digits of a key by which a holder can be named. */
export const HOLDER_KEY_DIGITS_MIN = 8

/** After how many days what a device released goes; `RELEASE_DELAY_MS` of `src/crypto`. */
export const RELEASE_DAYS = 7

/** How many persons one holder tells of at most: as many as a request has room for. */
export const OWN_HOLDER_PERSONS_MAX = 50

/** The longest balance or acceptance that is looked at, in characters. */
export const BALANCE_LENGTH_MAX = 500

/** How often the progress of a removal is told at least, in milliseconds. */
export const REMOVE_TELL_MS = 10_000

/** The computer kept to: a holder, another device of the person, or this one. */
export type ComputerKind = 'holder' | 'device' | 'this'

/**
 * How a computer stands: `held` is connected or was within the grace, `silent` is not connected
 * and still within it, `suspect` beyond it (its copies do not count), `failed` gave wrong proof,
 * `gone` will not be waited for, `leaving` is done without and is to forget what it has.
 */
export type ComputerState = 'held' | 'silent' | 'suspect' | 'failed' | 'gone' | 'leaving'

/** A computer that keeps, or could keep, copies of the drive. */
export interface HolderStatus {
  /** What it is called. */
  readonly name: string
  /** Its public key, hexadecimal. */
  readonly key: string
  /** What it is. */
  readonly kind: ComputerKind
  /** Whether it is connected. */
  readonly online: boolean
  /** How it stands. */
  readonly state: ComputerState
  /** Where it is, as the owner named it. */
  readonly site?: string
  /** Which machine it is on, as the owner named it. */
  readonly machine?: string
  /** Whose it is, as the owner named it. */
  readonly person?: string
  /** How much it keeps for this person, in bytes, as its receipts say. */
  readonly keptBytes: number
  /** How much it keeps at most, in bytes; absent when it has not said. */
  readonly quotaBytes?: number
  /** When it was last connected, in milliseconds since 1970; absent when that is not known. */
  readonly lastSeenMs?: number
  /** When it last proved that it has what it keeps, in milliseconds since 1970. */
  readonly lastProofMs?: number
  /**
   * How many blocks this device asked it to prove and how many audits it failed; older ones count
   * less.
   */
  readonly audits: { readonly blocks: number; readonly failed: number }
  /** What it kept for this person, in GiB times days, by the last balance that both signed. */
  readonly keptGibDays?: number
  /**
   * What this person's own holder on this computer kept for its person, in GiB times days, by the
   * last balance that both signed; absent when nobody of that name is kept for.
   */
  readonly givenGibDays?: number
  /** How much of that it was told to forget, in bytes; it counts against the quota until then. */
  readonly releasedBytes?: number
  /** When the first of it may go, in milliseconds since 1970. */
  readonly releasedMs?: number
  /** Why the last attempt to use it failed, in a few words. */
  readonly problem?: string
}

/** The computers of a drive, this one first. */
export interface HoldersAnswer {
  /** All of them. */
  readonly holders: readonly HolderStatus[]
}

/** A holder to add. */
export interface HolderAddRequest {
  /** What `grove host` printed. */
  readonly code: string
  /** Where it is, in the owner's words; computers of one site may burn down together. */
  readonly site?: string
  /** Which machine it is on, if that is not what it says itself. */
  readonly machine?: string
  /** Whose it is. */
  readonly person?: string
}

/** A holder to do without. */
export interface HolderRemoveRequest {
  /** Its name, or the beginning of its key: at least {@link HOLDER_KEY_DIGITS_MIN} digits. */
  readonly holder: string
  /** Removes it although files would fall below their floor. */
  readonly force: boolean
}

/**
 * A line of the answer to a removal; the last one is `end` or `error`. Progress is told at least
 * every {@link REMOVE_TELL_MS}.
 */
export type HolderRemoveLine =
  /** Copies are made elsewhere first; in blocks. */
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | ({ readonly kind: 'end'; readonly removed: HolderStatus } & ReleaseOutcome)
  | { readonly kind: 'error'; readonly error: ApiError['error'] }

/** What became of copies at one holder that are to go, or that were to. */
export interface ReleaseOutcome {
  /** How much it was told to forget, or to keep after all, in bytes. */
  readonly toldBytes: number
  /** How much it was not told of, for it is not connected, in bytes. */
  readonly awayBytes: number
  /** Why it did not take all that it was told. */
  readonly problem?: string
}

/** Goes on with a holder that was removed. */
export interface HolderKeepRequest {
  /** Its name, or the beginning of its key: at least {@link HOLDER_KEY_DIGITS_MIN} digits. */
  readonly holder: string
}

/** Has holders forget copies that are more than wished. */
export interface TrimRequest {
  /** Takes back what was ordered before and has not gone. */
  readonly cancel: boolean
}

/** A holder that is to forget something, and when. */
export interface WaitingCopies {
  /** Its name. */
  readonly name: string
  /** Its public key, hexadecimal. */
  readonly key: string
  /**
   * Why: `excess` is more than wished, `removed` is with a holder that is done without, `garbage`
   * is needed by no file.
   */
  readonly reason: 'excess' | 'removed' | 'garbage'
  /** How much, in bytes. */
  readonly bytes: number
  /** When it may go, in milliseconds since 1970. */
  readonly dueMs: number
  /** Why it did not go when that was tried last. */
  readonly problem?: string
}

/** What became of copies that are more than wished. */
export interface TrimAnswer {
  /** What was done just now, by holder; empty when there was nothing to do. */
  readonly holders: readonly (ReleaseOutcome & { readonly name: string; readonly key: string })[]
  /** All that is to go, whoever ordered it when. */
  readonly waiting: readonly WaitingCopies[]
}

/** What a holder of this person on this computer keeps for whom. */
export interface OwnHolderRequest {
  /** Its public key, hexadecimal. */
  readonly holder: string
  /** Those that the owner gave a name and with whom a balance is signed. */
  readonly persons: readonly {
    /** What the owner calls them. */
    readonly name: string
    /** Their key, hexadecimal. */
    readonly identity: string
    /** The newest balance that both signed, and the acceptance, in base64. */
    readonly balance: string
    readonly accepted: string
  }[]
}

/** Whose drive it is, and what others keep for them. */
export interface OwnDriveAnswer {
  /** The person's key, hexadecimal. */
  readonly identity: string
  /** By what the owner calls the holders' persons, in MiB times seconds; doubly signed. */
  readonly returned: readonly { readonly person: string; readonly mibSeconds: number }[]
}

/** Asks for the level of a file or directory, or sets it. */
export interface RedundancyRequest {
  /** Absolute path in the mounted folder. */
  readonly path: string
  /** `N` or `N/FLOOR` to set, `inherit` to have what the directory above has; absent to ask. */
  readonly level?: string
}

/** How a file or directory is kept. */
export interface RedundancyAnswer extends JsonName {
  /** How many copies are wished for, never to go below how many, on how many sites. */
  readonly copies: number
  readonly floor: number
  readonly sites: number
  /** What an fsync waits for. */
  readonly durability: 'local' | 'peer' | 'level'
  /** Whether the level is set here, rather than inherited. */
  readonly isSetHere: boolean
  /** Verified copies of the weakest block. */
  readonly verifiedCopies: number
  /** What `user.grove.health` says. */
  readonly health: string
  /** The computers that keep all of it. */
  readonly holders: readonly string[]
}

/** Asks who keeps a file and why. */
export interface ExplainRequest {
  /** Absolute path in the mounted folder. */
  readonly path: string
}

/** One computer's part in keeping a file. */
export interface ExplainedComputer {
  /** Its name. */
  readonly name: string
  /** What it is. */
  readonly kind: ComputerKind
  /** How it stands. */
  readonly state: ComputerState
  /** How many of the file's blocks it keeps. */
  readonly blocks: number
  /** Since when, in milliseconds since 1970. */
  readonly sinceMs?: number
  /** When it last proved it, in milliseconds since 1970. */
  readonly lastProofMs?: number
  /** Whether its copies count now. */
  readonly counts: boolean
  /** Why this computer and why not, in a few words. */
  readonly why: string
}

/** Who keeps a file. */
export interface ExplainAnswer extends RedundancyAnswer {
  /** How many blocks the file has; 0 when its content travels in the operations. */
  readonly blocks: number
  /** Every computer of the drive, those that keep most first. */
  readonly computers: readonly ExplainedComputer[]
}

/** A file below its floor or its wish. */
export interface WeakFile extends JsonName {
  /** Its size in bytes. */
  readonly size: number
  /** Verified copies of its weakest block. */
  readonly copies: number
  /** How many are wished for. */
  readonly wished: number
  /** `repairing`, `at-risk` or `lost`. */
  readonly health: string
}

/** What survives the loss of what. */
export interface SurvivalStatus {
  /** Everything survives the loss of any so many computers. */
  readonly computers: number
  /** Everything survives the loss of any so many sites. */
  readonly sites: number
  /** Everything survives the loss of any so many people's computers. */
  readonly people: number
  /** Directories with a level of their own, and what the files in them survive. */
  readonly directories: readonly (JsonName & { readonly computers: number })[]
  /** Files below their floor, those of which nothing is left among them: how many, how large. */
  readonly atRisk: { readonly files: number; readonly bytes: number }
  /** Files below their wish, but not below their floor. */
  readonly repairing: { readonly files: number; readonly bytes: number }
  /** Bytes of which no copy is known. */
  readonly lostBytes: number
  /** Files below their floor or wish, weakest first; at most {@link AT_RISK_LISTED_MAX}. */
  readonly weakest: readonly WeakFile[]
}
