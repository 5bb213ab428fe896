/**
 * Whether whoever makes a home wants its keys sealed, and with what.
 *
 * @module
 */
import type { Context, Input } from './command.ts'
import { chooseNewPassphrase, hasPassphraseFile } from './passphrase.ts'

/**
 * The passphrase for a new key file; the caller wipes it.
 *
 * @returns undefined when neither `--passphrase` nor the environment asks for one
 * @throws {GroveError} `PASSPHRASE`
 */
export async function wantedPassphrase(
  context: Context,
  input: Input
): Promise<Uint8Array | undefined> {
  // A person who names a passphrase file expects it to be used.
  if (!input.options.has('passphrase') && !hasPassphraseFile(context.environment)) return undefined
  return chooseNewPassphrase({
    environment: context.environment,
    keyboard: context.stdin,
    show: text => context.stderr.write(text)
  })
}
