/**
 * Paths that people write, as names from the root of the drive. Text against text: the daemon
 * must not touch the folder that it serves itself.
 *
 * @module
 */
import { relative, sep } from 'node:path'
import type { Name } from '../src/sync/operation.ts'
import { GroveError } from './grove-error.ts'
import { isInside } from './resolve-outside-mounts.ts'
import type { DrivePath } from './served-drive.ts'

/**
 * The names that lead from the root of the drive to a path.
 *
 * @param path - absolute and normal, its links followed up to the drive
 * @param directory - where the drive is mounted; undefined when it is not
 * @throws {GroveError} `NOT_FOUND` when the path does not lie in that folder
 */
export function drivePath(path: string, directory: string | undefined): DrivePath {
  if (directory === undefined)
    throw new GroveError('NOT_FOUND', 'the drive is not mounted; run `grove mount` first')
  if (!isInside(path, directory))
    throw new GroveError('NOT_FOUND', `${path} does not lie in the drive mounted at ${directory}`)
  const inside = relative(directory, path)
  const names = inside === '' ? [] : inside.split(sep)
  return names.map(name => Buffer.from(name).toString('latin1') as Name)
}

/** A path from the root of the drive, as bytes (latin1), with a slash before each name. */
export function pathText(path: DrivePath): string {
  return `/${path.join('/')}`
}
