/**
 * `grove config`: shows and changes the settings of this device.
 *
 * @module
 */
import { ApiClient } from '../api-client.ts'
import { writeResult, type Command, type Context, type Input } from '../command.ts'
import { GroveError } from '../grove-error.ts'
import { Home } from '../home.ts'
import {
  SETTING_NAMES,
  checkSetting,
  readSettings,
  settingName,
  writeSetting,
  type Settings
} from '../settings.ts'

/** See the module. */
export const configCommand: Command = {
  name: 'config',
  summary: 'show or change a setting of this device',
  positional: [
    ['[name]', `the setting: ${SETTING_NAMES.join(', ')}`],
    ['[value]', 'its new value']
  ],
  options: [],
  examples: [
    ['grove config', 'show all settings'],
    ['grove config history.keep', 'show how long replaced content is kept'],
    ['grove config history.keep 7d', 'keep it for a week (s, m, h, d; 0 for not at all)'],
    ['grove config content on-demand', 'fetch the content of other devices when it is read'],
    ['grove config custody.grace 3h', 'count the copies of a computer that is away for so long'],
    ['grove config custody.bandwidth 10MB', 'make copies again with 10 MB a second; 0: no bound'],
    ['grove config custody.audit 64', 'ask each holder for proof so often, each hour'],
    ['grove config custody.share 60', 'put at most so many percent of the drive on one holder']
  ],
  run
}

async function run(context: Context, input: Input): Promise<undefined> {
  const [asked, value] = input.positional
  const name = asked === undefined ? undefined : settingName(asked)
  if (name !== undefined && value !== undefined) checkSetting(name, value)
  const home = await Home.locate(context.environment)
  await home.check()
  const settings =
    name === undefined || value === undefined
      ? await readSettings(home.settingsFile)
      : await change(context, home, { name, value })
  await writeResult(context, {
    json: name === undefined ? settings : { [name]: settings[name] },
    text:
      name === undefined ? SETTING_NAMES.map(each => `${each} ${settings[each]}`) : [settings[name]]
  })
}

/** A running daemon takes the change up at once. */
async function change(
  context: Context,
  home: Home,
  setting: Parameters<typeof writeSetting>[1]
): Promise<Settings> {
  const daemon = await ApiClient.find(home, context.signal)
  if (daemon === undefined) return writeSetting(home.settingsFile, setting)
  const settings = await daemon.changeSetting(setting)
  if (settings[setting.name] === setting.value) return settings
  throw new GroveError('FAILED', 'the daemon did not take the setting up; is it another version?')
}
