/**
 * How a holder reaches the drive of its owner, if that is open on this computer.
 *
 * @module
 */
import { ApiClient } from './api-client.ts'
import type { OwnDriveAnswer, OwnHolderRequest } from './custody-api.ts'
import { GroveError } from './grove-error.ts'
import { Home, type Environment } from './home.ts'
import type { HolderSettings } from './holder-settings.ts'

/** Tells the owner's drive, and hears from it; undefined when it is not open. */
export type TellOwnDrive = (
  settings: Pick<HolderSettings, 'drive'>,
  request: OwnHolderRequest,
  signal: AbortSignal
) => Promise<OwnDriveAnswer | undefined>

/**
 * Makes what tells. The daemon is asked who it is only until it was found, not in every turn: to
 * answer that it looks at all that it keeps.
 *
 * @param environment - of the holder
 */
export function tellOwnDrive(environment: Environment): TellOwnDrive {
  let known: { readonly drive: string; readonly client: ApiClient } | undefined
  return async ({ drive }, request, signal) => {
    if (known?.drive !== drive) {
      // The variable names the home of this holder.
      const home = await Home.locate({ ...environment, GROVE_HOME: drive })
      const client = await ApiClient.find(home, signal).catch(() => undefined)
      known = client && { drive, client }
    }
    try {
      return await known?.client.ownHolder(request)
    } catch (error) {
      known = undefined
      if (error instanceof GroveError && error.code === 'NOT_RUNNING') return undefined
      throw error
    }
  }
}
