/** The bar draws on a terminal, not too often, within the line, and is silent elsewhere. */
import t from 'tap'
import { ProgressBar, REDRAW_MS_MIN } from '../../bin/progress-bar.ts'

function screen(isTTY: boolean, columns = 80) {
  const written: string[] = []
  return { written, isTTY, columns, write: (text: string) => written.push(text) }
}

t.test('update() draws at most so often', async t => {
  const output = screen(true)
  let nowMs = 0
  const bar = new ProgressBar(output, 'Reading', () => nowMs)
  bar.update({ done: 1, total: 4 })
  bar.update({ done: 2, total: 4 })
  nowMs += REDRAW_MS_MIN
  bar.update({ done: 3, total: 4 })
  bar.end()
  bar.end()
  t.equal(output.written.length, 3)
  t.match(output.written[0], /Reading \[#{6}-{18}\] 25 % \(1\/4\)$/)
  t.match(output.written[1], /75 %/)
  t.equal(output.written[2], '\r\u001B[K')
})

t.test('update() fits the line and bears odd numbers', async t => {
  for (const progress of [
    { done: 0, total: 0 },
    { done: 9, total: 3 },
    { done: 10 ** 12, total: 10 ** 12 }
  ]) {
    const output = screen(true, 30)
    new ProgressBar(output, 'Reading').update(progress)
    t.equal(output.written.length, 1)
    t.ok((output.written[0] ?? '').replace('\r\u001B[K', '').length < 30)
  }
})

t.test('nobody watching, nothing drawn', async t => {
  const output = screen(false)
  const bar = new ProgressBar(output, 'Reading')
  bar.update({ done: 1, total: 2 })
  bar.end()
  t.strictSame(output.written, [])
})
