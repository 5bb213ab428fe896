/**
 * A QR code on a terminal. The one home of uqr.
 *
 * @module
 */
import { renderUnicodeCompact } from 'uqr'

/** Light modules around the code, so that a camera finds its edge on a dark terminal. */
const BORDER_MODULES = 2

/** The lines that show a text to a camera: light on dark, two modules a character. */
export function qrCodeLines(text: string): readonly string[] {
  return renderUnicodeCompact(text, { border: BORDER_MODULES }).split('\n')
}
