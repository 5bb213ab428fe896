/**
 * Several processes at once: locks, appends, replacement, exclusive creation.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { pattern, sameBytes, type PosixCase } from './posix-case.ts'

const WRITERS = 4

/** See the module. */
export const concurrencyCases: readonly PosixCase[] = [
  {
    name: 'flock() of one process keeps another out until it ends',
    async run(c) {
      c.needs('flock', 'util-linux')
      writeFileSync(c.path('f'), '')
      const script = `
        flock --exclusive 9
        flock --nonblock --conflict-exit-code 7 f true; echo "held: $?"
        flock --unlock 9
        flock --nonblock --conflict-exit-code 7 f true; echo "free: $?"
        flock --shared 9
        flock --shared --nonblock f true; echo "shared: $?"`
      const answer = await c.run('sh', '-c', `exec 9<>f; ${script}`)
      assert.equal(answer, 'held: 7\nfree: 0\nshared: 0\n')
    }
  },
  {
    name: 'fcntl() locks of ranges keep another process out of the range only',
    async run(c) {
      const result = await c.python(`
fd = os.open('f', os.O_RDWR | os.O_CREAT, 0o600)
os.write(fd, b'x' * 100)
fcntl.lockf(fd, fcntl.LOCK_EX, 10, 20)
def other(length, start):
    child = os.fork()
    if child == 0:
        opened = os.open('f', os.O_RDWR)
        try:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
            os._exit(0)
        except OSError as error:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
result = [other(10, 20), other(5, 25), other(10, 30), other(20, 0)]
fcntl.lockf(fd, fcntl.LOCK_UN, 10, 20)
result.append(other(100, 0))
`)
      assert.deepEqual(result, [1, 1, 0, 0, 0])
    }
  },
  {
    name: 'appends of several processes are all there, each in one piece',
    async run(c) {
      const script = 'for i in $(seq 100); do echo "$0-$i-end" >> f; done'
      const writers = Array.from({ length: WRITERS }, (_, index) =>
        c.run('sh', '-c', script, `writer${index}`)
      )
      await Promise.all(writers)
      const lines = readFileSync(c.path('f'), 'utf8').trim().split('\n')
      assert.equal(lines.length, WRITERS * 100)
      assert.equal(new Set(lines).size, WRITERS * 100)
      for (const line of lines) assert.match(line, /^writer\d-\d+-end$/)
    }
  },
  {
    name: 'several processes write to parts of one file at once',
    async run(c) {
      const part = 200_000
      writeFileSync(c.path('source'), pattern(part * WRITERS))
      writeFileSync(c.path('f'), '')
      const copy = (index: number) =>
        c.run(
          ...(['dd', 'if=source', 'of=f', 'bs=1000', 'conv=notrunc', 'status=none'] as const),
          ...[
            `count=${part / 1000}`,
            `skip=${(index * part) / 1000}`,
            `seek=${(index * part) / 1000}`
          ]
        )
      await Promise.all(Array.from({ length: WRITERS }, (_, index) => copy(index)))
      sameBytes(readFileSync(c.path('f')), pattern(part * WRITERS))
    }
  },
  {
    name: 'of several processes that create one name, one does',
    async run(c) {
      // With -C the shell opens with O_EXCL.
      const script =
        'set -C; for i in $(seq 50); do (: > "n$i") 2>/dev/null && echo "$i"; done; exit 0'
      const won = await Promise.all(
        Array.from({ length: WRITERS }, () => c.run('sh', '-c', script))
      )
      const all = won.flatMap(text => text.split('\n').filter(Boolean))
      assert.equal(all.length, 50, 'each name was won once')
      assert.equal(new Set(all).size, 50)
      assert.equal(readdirSync(c.directory).length, 50)
    }
  },
  {
    name: 'a file that is replaced again and again is always read whole',
    async run(c) {
      const result = await c.python(`
def content(number): return (b'%08d' % number) * 2000
open('f', 'wb').write(content(0))
child = os.fork()
if child == 0:
    for number in range(1, 200):
        with open('new', 'wb') as file: file.write(content(number))
        os.rename('new', 'f')
    os._exit(0)
reads, torn, last, back = 0, 0, -1, 0
while os.waitpid(child, os.WNOHANG)[0] == 0:
    data = open('f', 'rb').read()
    number = int(data[:8] or b'-1')
    reads += 1
    torn += data != content(number)
    back += number < last
    last = number
result = [reads > 0, torn, back, open('f', 'rb').read() == content(199), os.listdir('.')]
`)
      assert.deepEqual(result, [true, 0, 0, true, ['f']])
    }
  },
  {
    name: 'tail -f sees what another process appends',
    async run(c) {
      writeFileSync(c.path('f'), 'one\n')
      const script = `
        tail -n +1 -f --sleep-interval=0.05 --pid=$$ f > seen & follower=$!
        sleep 0.2; echo two >> f; sleep 0.1; echo three >> f
        for i in $(seq 50); do grep -q three seen && break; sleep 0.1; done
        kill $follower; cat seen`
      assert.equal(await c.run('sh', '-c', script), 'one\ntwo\nthree\n')
    }
  },
  {
    name: 'a tree is removed while another process fills it: both come to an end',
    async run(c) {
      mkdirSync(c.path('d'))
      const fill = 'for i in $(seq 100); do echo x > "d/f$i"; done 2>/dev/null; exit 0'
      const remove = 'for i in $(seq 20); do rm -rf d/* 2>/dev/null; done; exit 0'
      await Promise.all([c.run('sh', '-c', fill), c.run('sh', '-c', remove)])
      await c.run('rm', '-rf', 'd')
      assert.deepEqual(readdirSync(c.directory), [])
    }
  },
  {
    name: 'reads while another process writes see old or new bytes, never others',
    async run(c) {
      const result = await c.python(`
page = 4096
fd = os.open('f', os.O_RDWR | os.O_CREAT, 0o600)
os.write(fd, b'a' * page * 8)
child = os.fork()
if child == 0:
    for number in range(150):
        os.pwrite(fd, (b'b' if number % 2 == 0 else b'a') * page, (number % 8) * page)
    os._exit(0)
bad = 0
while os.waitpid(child, os.WNOHANG)[0] == 0:
    data = os.pread(fd, page * 8, 0)
    bad += len(data) != page * 8 or bool(set(data) - {97, 98})
result = bad
`)
      assert.equal(result, 0)
    }
  }
]
