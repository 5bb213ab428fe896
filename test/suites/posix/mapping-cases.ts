/**
 * mmap(2): shared and private, against read and write on the same file.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { pattern, sameBytes, type PosixCase } from './posix-case.ts'

/** See the module. */
export const mappingCases: readonly PosixCase[] = [
  {
    name: 'mmap(MAP_SHARED) sees writes, and reads see it',
    async run(c) {
      writeFileSync(c.path('f'), pattern(20_000))
      const result = await c.python(`
fd = os.open('f', os.O_RDWR)
mapped = mmap.mmap(fd, 20000)
mapped[5000:5005] = b'mapme'
seen = os.pread(fd, 5, 5000).decode()
os.pwrite(fd, b'written', 12000)
result = [seen, mapped[12000:12007].decode()]
mapped[0:1] = b'A'
mapped.flush()
mapped.close()
os.close(fd)
`)
      assert.deepEqual(result, ['mapme', 'written'])
      const expected = pattern(20_000)
      expected.write('mapme', 5000)
      expected.write('written', 12_000)
      expected.write('A', 0)
      sameBytes(readFileSync(c.path('f')), expected)
    }
  },
  {
    name: 'mmap(MAP_SHARED) written after close() and without msync() is there in the end',
    async run(c) {
      writeFileSync(c.path('f'), Buffer.alloc(300_000))
      await c.python(`
fd = os.open('f', os.O_RDWR)
mapped = mmap.mmap(fd, 300000)
os.close(fd)
for at in range(0, 300000, 1000): mapped[at:at + 4] = b'data'
mapped.close()
`)
      const expected = Buffer.alloc(300_000)
      for (let at = 0; at < 300_000; at += 1000) expected.write('data', at)
      await c.run('sync', 'f')
      sameBytes(readFileSync(c.path('f')), expected)
    }
  },
  {
    name: 'mmap(MAP_PRIVATE) keeps its changes to itself',
    async run(c) {
      writeFileSync(c.path('f'), 'content of the file')
      const result = await c.python(`
fd = os.open('f', os.O_RDONLY)
mapped = mmap.mmap(fd, 0, access=mmap.ACCESS_COPY)
mapped[0:7] = b'CHANGED'
result = [mapped[0:7].decode(), open('f').read()]
`)
      assert.deepEqual(result, ['CHANGED', 'content of the file'])
    }
  },
  {
    name: 'mmap() of a file that is unlinked, and grown through another name',
    async run(c) {
      writeFileSync(c.path('f'), pattern(8192))
      const result = await c.python(`
fd = os.open('f', os.O_RDWR)
mapped = mmap.mmap(fd, 8192)
os.unlink('f')
mapped[100:104] = b'gone'
mapped.flush()
result = [os.pread(fd, 4, 100).decode(), os.fstat(fd).st_nlink]
os.ftruncate(fd, 100000)
larger = mmap.mmap(fd, 100000)
larger[99990:99995] = b'later'
result += [os.pread(fd, 5, 99990).decode(), mapped[100:104].decode()]
`)
      assert.deepEqual(result, ['gone', 0, 'later', 'gone'])
    }
  },
  {
    name: 'mmap() from two processes: one sees what the other stores',
    async run(c) {
      writeFileSync(c.path('f'), Buffer.alloc(4096))
      const result = await c.python(`
fd = os.open('f', os.O_RDWR)
mapped = mmap.mmap(fd, 4096)
child = os.fork()
if child == 0:
    other = mmap.mmap(os.open('f', os.O_RDWR), 4096)
    other[10:15] = b'child'
    os._exit(0)
os.waitpid(child, 0)
result = mapped[10:15].decode()
`)
      assert.equal(result, 'child')
    }
  },
  {
    name: 'a file is cut while it is mapped: the rest stays, beyond is SIGBUS',
    async run(c) {
      writeFileSync(c.path('f'), pattern(40_960))
      const result = await c.python(`
fd = os.open('f', os.O_RDWR)
mapped = mmap.mmap(fd, 40960)
first = mapped[0:4].hex()
os.ftruncate(fd, 4096)
result = [mapped[0:4].hex() == first]
child = os.fork()
if child == 0:
    mapped[20000]
    os._exit(0)
_, status = os.waitpid(child, 0)
result.append(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS)
`)
      assert.deepEqual(result, [true, true])
    }
  }
]
