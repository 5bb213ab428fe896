/**
 * The 24 words of a drive: typed on a terminal that does not show them, or piped in. They are
 * never taken from the command line, where every process of the machine could read them.
 *
 * They may be typed on several lines and with their numbers, as `grove init` shows them.
 *
 * @module
 */
import { RECOVERY_WORDS } from '../src/crypto/recovery-words.ts'
import { GroveError } from './grove-error.ts'
import { LineReader, type Keyboard } from './line-reader.ts'

/** How many bytes are read at most; 24 words with numbers and spaces have less than 400. */
export const WORDS_BYTES_MAX = 4096

/** Where the words come from. */
export interface WordSource {
  /** Standard input. */
  readonly keyboard: Keyboard
  /** Shows a prompt; standard error, so that output can be piped. */
  readonly show: (text: string) => void
}

/**
 * Reads the words.
 *
 * @returns them as one line; whether they are of a drive is not checked here
 * @throws {GroveError} `FAILED` when there are too few or nothing more comes
 */
export async function readWords(source: WordSource): Promise<string> {
  const words =
    source.keyboard.isTTY === true ? await typedWords(source) : await pipedWords(source.keyboard)
  if (words.length === RECOVERY_WORDS) return words.join(' ')
  throw new GroveError('FAILED', `these are ${words.length} words instead of ${RECOVERY_WORDS}`)
}

async function typedWords({ keyboard, show }: WordSource): Promise<readonly string[]> {
  const lineBytesMax = WORDS_BYTES_MAX
  const reader = new LineReader({ keyboard, show, lineBytesMax, cancelled })
  const words: string[] = []
  for (let line = 0; words.length < RECOVERY_WORDS && line < RECOVERY_WORDS; line++) {
    const prompt =
      words.length === 0
        ? `The ${RECOVERY_WORDS} words (they are not shown): `
        : `${words.length} of ${RECOVERY_WORDS}; the others: `
    const bytes = await reader.readHidden(prompt)
    words.push(...wordsOf(bytes))
    bytes.fill(0)
  }
  return words
}

async function pipedWords(keyboard: Keyboard): Promise<readonly string[]> {
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    keyboard.on('data', chunk => {
      chunks.push(chunk)
      length += chunk.length
      if (length <= WORDS_BYTES_MAX) return
      keyboard.pause()
      reject(new GroveError('FAILED', 'too much comes from standard input to be words'))
    })
    keyboard.on('end', () => {
      const whole = Buffer.concat(chunks)
      for (const chunk of chunks) chunk.fill(0)
      resolve(whole)
    })
    keyboard.resume()
  })
  const words = wordsOf(bytes)
  bytes.fill(0)
  return words
}

/** Without the numbers that they are shown with. */
function wordsOf(bytes: Uint8Array): readonly string[] {
  const parts = Buffer.from(bytes).toString('utf8').split(/\s+/)
  return parts.filter(part => part !== '' && !/^\d{1,2}[.)]?$/.test(part))
}

function cancelled(): GroveError {
  return new GroveError('FAILED', 'no words were given')
}
