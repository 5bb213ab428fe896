/**
 * `npm start [-- DIR]`: from a fresh clone to a mounted drive. Installs, builds, makes an
 * identity and a drive on first use, mounts at DIR or ~/Grove and says what to do next.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { ROOT, end, installAndBuild, run } from './install-and-build.mjs'

const PROGRAM = join(ROOT, 'dist/bin/grove.js')

const args = process.argv.slice(2)
if (args.length > 1 || args[0]?.startsWith('-')) end('usage: npm start [-- DIRECTORY]', 2)
// npm runs this in the clone; a relative folder is meant from where the person is.
const directory = resolve(process.env.INIT_CWD ?? '.', args[0] ?? join(homedir(), 'Grove'))

checkSystem()
installAndBuild()
if (!isInitialised()) grove('the drive could not be made', ['init'])
grove('the drive could not be mounted', ['mount', '--', directory])
tellWhatIsNext()

/** What mounting needs of the system, so that its lack is told before a long installation. */
function checkSystem() {
  if (process.platform === 'linux' && !existsSync('/dev/fuse'))
    end(
      'there is no /dev/fuse; apt-get install fuse3, then modprobe fuse ' +
        '(a container needs --device /dev/fuse --cap-add SYS_ADMIN)'
    )
  if (process.getuid?.() !== 0 && !isOnPath('fusermount3') && !isOnPath('fusermount'))
    end('fusermount3 is missing, without which only root can mount; apt-get install fuse3')
}

function isOnPath(program) {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.some(folder => existsSync(join(folder, program)))
}

function isInitialised() {
  const { stderr } = spawnSync(process.execPath, [PROGRAM, 'status', '--json'], {
    encoding: 'utf8'
  })
  return !stderr.includes('"NOT_INITIALISED"')
}

/** The command says itself, in one line, what went wrong. */
function grove(problem, commandLine) {
  run(problem, [process.execPath, PROGRAM, ...commandLine])
}

function tellWhatIsNext() {
  console.log(`
Use ${directory} like any folder: copy files into it, open them, run git in it.

  node dist/bin/grove.js status     how it is (after \`npm link\`: grove status)
  node dist/bin/grove.js unmount    take the folder away
  node dist/bin/grove.js stop       unmount and stop; \`npm start\` brings it back
  node dist/bin/grove.js --help     everything else`)
}
