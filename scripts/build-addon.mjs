/**
 * Compiles the native part of the linux driver, src/fs/fuse/linux/fuse-device.c, to
 * build/fuse-device.node with the C compiler alone: neither node-gyp nor python is needed,
 * because Node-API is stable and its headers are an ordinary package.
 *
 * Does nothing where the result is up to date, and on other systems than Linux. Where there is
 * no compiler, or one without the system's headers, it says which package to install and
 * succeeds: the drive then mounts with the fuse-native driver.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const source = join(root, 'src/fs/fuse/linux/fuse-device.c')
const target = join(root, 'build/fuse-device.node')
const stampFile = join(root, 'build/fuse-device.stamp')
const flags = ['-std=gnu11', '-O2', '-shared', '-fPIC', '-pthread', '-Wall', '-Wextra']
// The notify thread may outlive a worker that loaded the library: it is never unloaded.
flags.push('-Wl,-z,nodelete')

function main() {
  if (process.platform !== 'linux') return
  const stamp = createHash('sha256')
    .update(readFileSync(source))
    .update(JSON.stringify([flags, process.arch]))
    .digest('hex')
  if (existsSync(target) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp)
    return

  const compiler = findCompiler()
  if (compiler === undefined) {
    tellHow('there is no C compiler')
    return
  }
  // Replaced by renaming, so that a process that has the old one loaded keeps it.
  const fresh = `${target}.${process.pid}`
  mkdirSync(dirname(target), { recursive: true })
  rmSync(stampFile, { force: true })
  const compiled = spawnSync(compiler, [...flags, '-I', headers(), '-o', fresh, source], {
    stdio: 'inherit'
  })
  if (compiled.status !== 0) {
    // An older one may not fit the rest of the driver.
    for (const file of [fresh, target]) rmSync(file, { force: true })
    tellHow(`${compiler} failed, as it says above`)
    return
  }
  renameSync(fresh, target)
  writeFileSync(stampFile, stamp)
}

function tellHow(why) {
  console.log(
    `grove: ${why}, so the linux driver is not built and fuse-native is used; ` +
      'to have it: apt-get install build-essential, then npm run build'
  )
}

function headers() {
  const require = createRequire(import.meta.url)
  return join(dirname(require.resolve('node-api-headers/package.json')), 'include')
}

function findCompiler() {
  const candidates = [process.env.CC, 'cc', 'gcc', 'clang'].filter(Boolean)
  return candidates.find(name => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0)
}

main()
