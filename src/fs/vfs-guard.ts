/**
 * Runs calls of the file system so that they fail with an {@link FsError} and nothing else.
 *
 * @module
 */
import { asFsError } from './as-fs-error.ts'

/** Runs a call that may return a promise. @throws {FsError} also by rejecting */
export function guard<T>(operation: string, body: () => T): T {
  try {
    const result = body()
    if (!(result instanceof Promise)) return result
    return result.catch((error: unknown) => {
      throw asFsError(error, operation)
    }) as T
  } catch (error) {
    throw asFsError(error, operation)
  }
}

/** Runs a call whose failures are all rejections. */
export async function guardAsync(operation: string, body: () => Promise<void>): Promise<void> {
  try {
    await body()
  } catch (error) {
    throw asFsError(error, operation)
  }
}
