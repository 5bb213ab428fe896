/**
 * The small files that several questions look at.
 *
 * @module
 */
import { join } from 'node:path'
import { askClient, type Round } from '../question.ts'

/** Where the files are that are measured, and those that warm the code up. */
export function smallFilesOf(round: Round): { directory: string; warm: string; count: number } {
  return {
    directory: join(round.directory, 'files'),
    warm: join(round.directory, 'warm'),
    count: round.scale.files
  }
}

/** Makes them. */
export async function makeSmallFiles(round: Round): Promise<void> {
  await askClient({ operation: 'create', ...smallFilesOf(round) })
}
