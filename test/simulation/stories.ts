/**
 * Stories of several devices, told over memory and over real mounts.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Story } from './scenario.ts'

const laptop = 'laptop'
const phone = 'phone'
const desk = 'desk'

/** All of them. */
export const STORIES: readonly Story[] = [
  {
    name: 'what is written on one device is read on the others',
    devices: [laptop, phone, desk],
    tell: async ({ as, everyoneSees, everyoneAgrees }) => {
      await as(laptop).mkdir('/letters')
      await as(laptop).write('/letters/first.txt', 'Dear phone')
      await everyoneSees('/letters/first.txt', 'Dear phone')
      await as(phone).append('/letters/first.txt', ', dear desk')
      await everyoneSees('/letters/first.txt', 'Dear phone, dear desk')
      await everyoneAgrees()
    }
  },
  {
    name: 'two edits of one file apart: both are kept, one as a conflict copy',
    devices: [laptop, phone],
    tell: async ({ as, heal, part, everyoneSees, everyoneLists, everyoneAgrees }) => {
      await as(laptop).write('/notes.txt', 'start')
      await heal()
      await part([laptop], [phone])
      await as(laptop).write('/notes.txt', 'of the laptop')
      await as(phone).write('/notes.txt', 'of the phone')
      await heal()
      await everyoneLists('/', ['notes.txt', 'notes*.txt'])
      const kept = await as(laptop).read('/notes.txt')
      const copied = kept === 'of the laptop' ? 'of the phone' : 'of the laptop'
      await everyoneSees('/notes*.txt', copied)
      await everyoneAgrees()
    }
  },
  {
    name: 'twenty edits on a train are one conflict copy, and it can be removed',
    devices: [laptop, phone],
    tell: async ({ as, heal, everyoneLists, everyoneAgrees }) => {
      await as(laptop).write('/notes.txt', 'start')
      await heal()
      await as(phone).offline()
      for (let edit = 1; edit <= 20; edit++) await as(phone).append('/notes.txt', ` ${edit}`)
      await as(laptop).write('/notes.txt', 'of the laptop')
      await heal()
      await everyoneLists('/', ['notes.txt', 'notes*.txt'])
      const names = await as(laptop).list('/')
      await as(laptop).remove(`/${names.find(name => name !== 'notes.txt') ?? ''}`)
      await everyoneLists('/', ['notes.txt'])
      await everyoneAgrees()
    }
  },
  {
    name: 'an edit beats a removal, and keeps the directory that it is in',
    devices: [laptop, phone],
    tell: async ({ as, heal, part, everyoneSees, everyoneAgrees }) => {
      await as(laptop).mkdir('/old')
      await as(laptop).write('/old/list', 'a')
      await heal()
      await part([laptop], [phone])
      await as(laptop).remove('/old/list')
      await as(laptop).remove('/old')
      await as(phone).append('/old/list', ' b')
      await heal()
      await everyoneSees('/old/list', 'a b')
      await everyoneAgrees()
    }
  },
  {
    name: 'directories of one name made apart are one',
    devices: [laptop, phone],
    tell: async ({ as, heal, part, everyoneLists, everyoneAgrees }) => {
      await part([laptop], [phone])
      await as(laptop).mkdir('/photos')
      await as(laptop).write('/photos/cat', 'c')
      await as(phone).mkdir('/photos')
      await as(phone).write('/photos/dog', 'd')
      await heal()
      await everyoneLists('/', ['photos'])
      await everyoneLists('/photos', ['cat', 'dog'])
      await as(phone).move('/photos', '/pictures')
      await everyoneLists('/pictures', ['cat', 'dog'])
      await everyoneAgrees()
    }
  },
  {
    name: 'two directories moved into each other make no cycle',
    devices: [laptop, phone],
    tell: async ({ as, heal, part, everyoneAgrees }) => {
      await as(laptop).mkdir('/a')
      await as(laptop).mkdir('/b')
      await as(laptop).write('/a/x', '1')
      await as(laptop).write('/b/y', '2')
      await heal()
      await part([laptop], [phone])
      await as(laptop).move('/a', '/b/a')
      await as(phone).move('/b', '/a/b')
      await heal()
      const [top] = await as(laptop).list('/')
      assert(top === 'a' || top === 'b')
      assert.equal((await as(phone).list('/')).length, 1)
      await everyoneAgrees()
    }
  },
  {
    name: 'a rename on one device and an edit on another come together',
    devices: [laptop, phone, desk],
    tell: async ({ as, heal, part, everyoneSees, everyoneLists, everyoneAgrees }) => {
      await as(desk).write('/draft', 'one')
      await heal()
      await part([laptop], [phone], [desk])
      await as(laptop).move('/draft', '/final')
      await as(phone).append('/draft', ' two')
      await as(desk).chmod('/draft', 0o600)
      await heal()
      await everyoneLists('/', ['final'])
      await everyoneSees('/final', 'one two')
      assert.equal(await as(laptop).mode('/final'), 0o600)
      await everyoneAgrees()
    }
  },
  {
    name: 'a file that is open here is written after it was removed there, and lives again',
    devices: [laptop, phone],
    tell: async ({ as, heal, everyoneLists, everyoneSees, everyoneAgrees }) => {
      await as(laptop).write('/song', 'la')
      await heal()
      const song = await as(phone).open('/song')
      await as(laptop).remove('/song')
      await everyoneLists('/', [])
      await song.write('la la')
      await song.close()
      await everyoneSees('/song', 'la la')
      await everyoneAgrees()
    }
  },
  {
    name: 'a file that is gone but open is not taken for the one that goes on with its name',
    devices: [laptop, phone, desk],
    tell: async ({ as, heal, part, everyoneSees, everyoneAgrees }) => {
      await as(laptop).write('/song', 'la')
      await heal()
      const song = await as(phone).open('/song')
      await part([laptop, phone], [desk])
      for (const name of ['/1', '/2', '/3']) {
        await as(laptop).mkdir(name)
        await as(laptop).sync()
      }
      await as(laptop).write('/song', 'lo')
      await as(laptop).remove('/song')
      await part([laptop, phone], [desk])
      assert.equal(await song.read(), 'lo')
      await as(desk).append('/song', ' la')
      await heal()
      await everyoneSees('/song', 'la la')
      await everyoneAgrees()
      await song.close()
      await everyoneAgrees()
    }
  },
  {
    name: 'what was written before news came has not seen them',
    devices: [laptop, phone],
    tell: async ({ as, heal, part, everyoneSees, everyoneLists, everyoneAgrees }) => {
      await as(laptop).write('/notes', 'start')
      await heal()
      await part([laptop], [phone])
      const notes = await as(phone).open('/notes')
      await as(laptop).write('/notes', 'of the laptop')
      await notes.write('PHONE')
      await heal()
      await everyoneLists('/', ['notes', 'notes*'])
      assert.equal(await notes.read(), 'PHONE')
      await notes.close()
      const first = await as(phone).read('/notes')
      await everyoneSees('/notes*', first === 'PHONE' ? 'of the laptop' : 'PHONE')
      await everyoneAgrees()
    }
  },
  {
    name: 'an open file stays what it was when another takes its name',
    devices: [laptop, phone],
    tell: async ({ as, heal, everyoneAgrees }) => {
      await as(laptop).write('/a', 'first')
      await as(laptop).write('/b', 'second')
      await heal()
      const open = await as(phone).open('/a')
      await as(laptop).move('/b', '/a')
      await heal()
      assert.equal(await open.read(), 'first')
      assert.equal(await as(phone).read('/a'), 'second')
      await open.close()
      await everyoneAgrees()
    }
  },
  {
    name: 'one is away for a week of changes, then has them all',
    devices: [laptop, phone, desk],
    tell: async ({ as, heal, everyoneAgrees }) => {
      await as(desk).offline()
      await as(laptop).mkdir('/week')
      for (let day = 1; day <= 7; day++) {
        await as(laptop).write(`/week/day ${day}`, `${day}`)
        await as(phone).mkdir(`/day ${day}`)
      }
      await as(desk).write('/alone', 'here')
      await heal()
      assert.equal((await as(desk).list('/week')).length, 7)
      assert.equal(await as(phone).read('/alone'), 'here')
      await everyoneAgrees()
    }
  },
  {
    name: 'what was synced survives a loss of power, and the device goes on',
    devices: [laptop, phone],
    tell: async ({ as, heal, everyoneSees, everyoneLists, everyoneAgrees }) => {
      await as(phone).offline()
      await as(phone).write('/kept', 'synced')
      await as(phone).sync()
      await as(phone).write('/lost', 'not synced')
      await as(phone).restartAfterPowerLoss()
      await as(phone).write('/later', 'after')
      await heal()
      await everyoneSees('/kept', 'synced')
      await everyoneSees('/later', 'after')
      await everyoneLists('/', ['kept', 'later'])
      await everyoneAgrees()
    }
  },
  {
    name: 'a tail that was lost here and is known there comes back',
    devices: [laptop, phone],
    tell: async ({ as, heal, everyoneSees, everyoneAgrees }) => {
      await as(phone).write('/seen', 'by the laptop')
      await everyoneSees('/seen', 'by the laptop')
      await as(phone).offline()
      await as(phone).restartAfterPowerLoss()
      await as(phone).write('/new', 'in new logs')
      await heal()
      await everyoneSees('/seen', 'by the laptop')
      await everyoneSees('/new', 'in new logs')
      await everyoneAgrees()
    }
  },
  {
    name: 'a process that is killed loses nothing that it wrote to its logs',
    devices: [laptop, phone],
    tell: async ({ as, heal, everyoneSees, everyoneAgrees }) => {
      await as(laptop).write('/a', '1')
      await heal()
      await as(laptop).restartAfterKill()
      await as(laptop).append('/a', '2')
      await everyoneSees('/a', '12')
      await everyoneAgrees()
    }
  }
]
