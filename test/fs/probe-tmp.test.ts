import t from 'tap'
import { compareOnRandomHistories } from '../support/vfs-commands.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
t.test('drive', async t => {
  const rebuildTurn = { n: 0 }
  let steps = 0
  await compareOnRandomHistories({
    subject: async clock => {
      const drive = await MemoryDrive.create(clock)
      return { vfs: drive.vfs, close: () => drive.close(), reopen: async () => { await drive.reopen({ rebuild: rebuildTurn.n++ % 2 === 0 }); return drive.vfs } }
    },
    runs: Number(process.env["RUNS"] ?? 40), seed: Number(process.env['SEED'] ?? 1), steps: Number(process.env["STEPS"] ?? 120), reopen: process.env['REOPEN'] === '1', onStep: () => { steps++ }
  })
  t.comment(`${steps} steps`)
})
