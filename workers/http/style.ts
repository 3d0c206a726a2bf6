/** The one style sheet of the edge's two pages; they load nothing from elsewhere. @module */
import { raw } from 'hono/html'

/** Plain rules that follow the reader's light or dark preference. */
export const STYLE = raw(`
:root { color-scheme: light dark; --line: light-dark(#d7dae0, #343a46); --soft: light-dark(#5c6470, #9aa3b2); --ok: light-dark(#14713a, #63c98b); --bad: light-dark(#a5251c, #f08a80) }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 4rem }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .4rem } p { margin: .3rem 0 }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top }
th { font-weight: 600; color: var(--soft); font-size: .85rem } td.n, th.n { text-align: right }
code, pre { font: 13px/1.45 ui-monospace, monospace } pre { overflow-x: auto; padding: .6rem; border: 1px solid var(--line); border-radius: .3rem }
.soft { color: var(--soft) } .ok { color: var(--ok) } .bad { color: var(--bad) } a { color: inherit }
details { border-bottom: 1px solid var(--line); padding: .4rem 0 } summary { cursor: pointer } .method { display: inline-block; min-width: 4rem; font-weight: 600 }
`)
