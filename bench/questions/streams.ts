/**
 * The long files that several questions read.
 *
 * @module
 */
import { join } from 'node:path'
import { askClient, type Round } from '../question.ts'

/** Where the file is that is measured, and the one that warms the code up. */
export function streamsOf(round: Round): { path: string; warm: string; chunks: number } {
  return {
    path: join(round.directory, 'stream'),
    warm: join(round.directory, 'warm'),
    chunks: round.scale.chunks
  }
}

/** Makes them. */
export async function makeStreams(round: Round): Promise<void> {
  await askClient({ operation: 'write-stream', ...streamsOf(round), durable: true })
}
