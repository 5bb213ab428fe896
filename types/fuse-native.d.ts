/** What we use of fuse-native 2.2.6. Members that begin with a line are its own; we replace them. */
declare module 'fuse-native' {
  /** A mount that may be made. */
  class Fuse {
    /** `operations` only says by its names which of `_op_NAME` are there. */
    constructor(
      directory: string,
      operations: Readonly<Record<string, unknown>>,
      options: { readonly timeout: false }
    )
    /** Called instead of the program fusermount before a mount is closed. */
    static unmount: (directory: string, callback: (error: Error | null) => void) => void
    /** Options as libfuse reads them, with `-o` in front. */
    _fuseOptions: () => string
    /** What the native part calls, by opcode. */
    readonly _handlers: ((
      thread: Uint8Array,
      opcode: number,
      ...args: readonly unknown[]
    ) => void)[]
    /** Calls back when the kernel has begun, or when it was refused. */
    mount(callback: (error: Error | null) => void): void
    /** Lets go of the event loop. */
    _close(callback: (error: Error | null) => void): void
  }
  export = Fuse
}
