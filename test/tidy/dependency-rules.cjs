/**
 * The layer rules of the design, for dependency-cruiser. `npm run check` runs them over src, bin
 * and bench; tests may import anything.
 *
 * To add a third-party package: choose its home, one file that translates it into an interface of
 * ours, and add a line to HOMES. Nothing else may import it.
 */
'use strict'

/** Each third-party package and the one file that may import it. */
const HOMES = {
  'sodium-native': 'src/crypto/sodium.ts',
  'bip39-mnemonic': 'src/crypto/recovery-words.ts',
  'keet-identity-key': 'src/crypto/identity.ts',
  z32: 'src/crypto/code-text.ts',
  lmdb: 'src/sync/lmdb-key-value-store.ts',
  hypercore: 'src/replication/core-slot.ts',
  'hypercore-crypto': 'src/replication/core-slot.ts',
  corestore: 'src/replication/log-home.ts',
  'hypercore-storage': 'src/replication/log-home.ts',
  protomux: 'src/replication/guarded-mux.ts',
  'protomux-rpc': 'src/replication/custody-rpc.ts',
  hyperdht: 'src/replication/dht-node.ts',
  hyperswarm: 'src/replication/dht-node.ts',
  'blind-pairing': 'src/replication/pairing-carrier.ts',
  'fuse-native': 'src/fs/fuse/fuse-native-driver.ts',
  commander: 'bin/grove.ts',
  uqr: 'bin/qr-code.ts',
  'fs-native-extensions': 'bin/home-lock.ts'
}

/** Each room and the rooms it may import besides itself. `bin` may import them all. */
const ROOMS = {
  crypto: [],
  sync: ['crypto'],
  replication: ['sync', 'crypto'],
  fs: ['sync', 'crypto']
}

/** The pure rooms' files that may import Node's own modules, as homes of native packages. */
const PURE_EXCEPTIONS = ['src/crypto/sodium.ts', 'src/sync/lmdb-key-value-store.ts']

/** What is measured beside Grove: it stands for programs without our interfaces. */
const BARE_STACK = 'bench/devices/bare-stack.mjs'

const exactly = path => `^${path.replaceAll('.', '\\.')}$`
const inPackage = name => `(^|/)node_modules/${name}/`

const layers = Object.entries(ROOMS).map(([room, below]) => ({
  name: `layer-${room}`,
  comment: `src/${room} imports only ${['itself', ...below.map(name => `src/${name}`)].join(', ')}.`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: {
    path: '^(src|bin|test|bench|scripts)/',
    pathNot: `^src/(${[room, ...below].join('|')})/`
  }
}))

const homes = Object.entries(HOMES).map(([name, home]) => ({
  name: `home-of-${name}`,
  comment: `Only ${home} imports ${name}; the rest of the code sees our own interface.`,
  severity: 'error',
  from: { pathNot: exactly(home) },
  to: { path: inPackage(name) }
}))

module.exports = {
  forbidden: [
    ...layers,
    ...homes,
    {
      name: 'no-package-without-a-home',
      comment:
        'A third-party package gets a home: a line in HOMES of test/tidy/dependency-rules.cjs.',
      severity: 'error',
      from: {},
      to: { path: '(^|/)node_modules/', pathNot: Object.keys(HOMES).map(inPackage) }
    },
    {
      name: 'pure-core',
      comment: 'src/sync and src/crypto take time, dice, disk and network as arguments.',
      severity: 'error',
      from: { path: '^src/(sync|crypto)/', pathNot: PURE_EXCEPTIONS.map(exactly) },
      to: { dependencyTypes: ['core'] }
    },
    {
      name: 'index-store-is-passed-in',
      comment: 'Only bin and tests choose lmdb; the model sees KeyValueStore.',
      severity: 'error',
      from: { pathNot: '^(bin|test)/' },
      to: { path: exactly('src/sync/lmdb-key-value-store.ts') }
    },
    {
      name: 'nothing-imports-bin-tests-or-bench',
      comment: 'bin is the top; tests and benchmarks are not part of the product.',
      severity: 'error',
      from: { path: '^(src|bin|bench)/([^/]+)' },
      to: { path: '^(bin|test|bench|scripts)/', pathNot: '^$1/' }
    },
    {
      name: 'no-room-outside-the-plan',
      comment: 'Source lives in a room of ROOMS.',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(${Object.keys(ROOMS).join('|')})/` },
      to: {}
    },
    {
      name: 'no-cycles',
      comment: 'Two files that need each other are one file, or hide a third.',
      severity: 'error',
      from: {},
      to: { circular: true }
    },
    {
      name: 'no-unresolved',
      comment: 'The import leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true }
    },
    {
      name: 'no-undeclared-package',
      comment: 'The package is not in dependencies of package.json.',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev', 'deprecated'] }
    }
  ],
  options: {
    exclude: { path: exactly(BARE_STACK) },
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.cjs', '.mjs', '.json', '.node'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default']
    }
  }
}
