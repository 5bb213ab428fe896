/** What we call of fs-native-extensions, which publishes no types. */
declare module 'fs-native-extensions' {
  /** Locks an open file (an open file description lock) or answers false at once. */
  export function tryLock(fd: number): boolean
}
