/** Texts of broken invariants and of errors are for people: no behaviour depends on them, so no test should. @module */
import { PluginKind, declareValuePlugin } from '@stryker-mutator/api/plugin'

const FOR_PEOPLE = new Set(['invariant', 'known', 'malformed', 'parse', 'DecodeError'])
/** The first word of an error is its code, which programs and tests go by. */
const isCode = (path) => path.parentPath.isNewExpression() && path.key === 0

export const strykerPlugins = [
  declareValuePlugin(PluginKind.Ignore, 'texts', {
    shouldIgnore: (path) => {
      const call = path.parentPath
      const isText = path.isStringLiteral() || path.isTemplateLiteral()
      return isText && (call?.isCallExpression() || call?.isNewExpression()) && FOR_PEOPLE.has(call.node.callee.name) && !isCode(path)
        ? 'a text for people'
        : undefined
    },
  }),
]
