/**
 * The bytes of a row of the index, for tests of its format.
 *
 * @module
 */
import { ByteWriter } from '../../src/sync/byte-writer.ts'

/** @returns what an encoder of rows appends, as bytes of its own */
export function rowBytes(encode: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter()
  encode(out)
  return out.view()
}
