/**
 * A question that a person answers with yes or no.
 *
 * @module
 */
import type { Context } from './command.ts'

/** The longest answer that is looked at, in bytes. */
export const REPLY_BYTES_MAX = 1024

/**
 * Asks on the terminal and reads a line. Where nobody can be asked the answer is yes: whoever
 * writes a script has decided.
 *
 * @throws the signal's reason when the person interrupts
 */
export async function askYesOrNo(context: Context, question: string): Promise<boolean> {
  const { stdin, stderr, signal } = context
  if (stdin.isTTY !== true || context.json) return true
  stderr.write(`${question} [y/N] `)
  const reply = await readLine(stdin, signal)
  signal.throwIfAborted()
  return /^\s*y(es)?\s*$/i.test(reply)
}

function readLine(stdin: Context['stdin'], signal: AbortSignal): Promise<string> {
  return new Promise(resolve => {
    let typed = Buffer.alloc(0)
    const stop = (): void => {
      stdin.removeListener('data', hear)
      stdin.removeListener('end', stop)
      signal.removeEventListener('abort', stop)
      stdin.pause()
      resolve(typed.toString('utf8').split('\n', 1)[0] ?? '')
    }
    const hear = (chunk: Buffer): void => {
      typed = Buffer.concat([typed, chunk])
      if (typed.includes('\n') || typed.length > REPLY_BYTES_MAX) stop()
    }
    if (signal.aborted) return stop()
    stdin.on('data', hear)
    stdin.on('end', stop)
    signal.addEventListener('abort', stop)
    stdin.resume()
  })
}
