/**
 * Tells typedoc's doc check what needs no line of its own: the members of a type that is written
 * in place, which whatever holds them describes, and a member that overrides a described one.
 *
 * @module
 */
import { Comment, Converter, ReflectionKind } from 'typedoc'

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on(Converter.EVENT_END, context => {
    for (const reflection of Object.values(context.project.reflections))
      if (isInline(reflection) || reflection.overwrites !== undefined)
        reflection.comment ??= new Comment([{ kind: 'text', text: 'See the parent.' }])
  })
}

/** @param {import('typedoc').Reflection} reflection */
function isInline(reflection) {
  for (let at = reflection; at !== undefined; at = at.parent)
    if (at.kindOf(ReflectionKind.TypeLiteral) || at.name === '__type') return true
  return false
}
