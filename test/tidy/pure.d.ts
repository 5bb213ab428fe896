/**
 * What src/sync and src/crypto may use beyond the language itself. tsconfig.pure.json compiles
 * them with these declarations in place of Node's, so whatever is not listed does not compile.
 */

declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>
  encodeInto(text: string, target: Uint8Array): { read: number; written: number }
}

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(bytes?: Uint8Array): string
}

/** Only for src/crypto/sodium.ts, where not zeroing a large buffer is worth its while. */
declare const Buffer: { allocUnsafeSlow(sizeBytes: number): { readonly buffer: ArrayBuffer } }

/** How whoever waits for another device gives up. */
declare class AbortSignal {
  private constructor()
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void, options?: { once: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

declare class AbortController {
  readonly signal: AbortSignal
  abort(): void
}
