/**
 * The mount drivers of this program.
 *
 * @module
 */
import { clearDeadMount } from '../src/fs/fuse/clear-dead-mount.ts'
import { mountFuseNative } from '../src/fs/fuse/fuse-native-driver.ts'
import { mountLinux } from '../src/fs/fuse/linux-driver.ts'
import type { MountTools } from './mounts.ts'

/** See {@link MountTools}. */
export const mountTools: MountTools = {
  linux: mountLinux,
  fuseNative: mountFuseNative,
  clearDeadMount: directory => clearDeadMount(directory)
}
