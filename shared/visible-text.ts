/** Text that others chose, where people read it: nothing in it may act on a terminal or change the order of what is shown. @module */

// oxlint-disable-next-line no-control-regex -- control characters are exactly what this finds
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/
const ALL_HIDDEN = new RegExp(HIDDEN, 'g')

/** Whether a text has control or direction characters. */
export const hasHidden = (text: string): boolean => HIDDEN.test(text)

/** The text with every control and direction character as JSON would escape it. */
export const visible = (text: string): string =>
  text.replaceAll(ALL_HIDDEN, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** The same for a text of several lines, which stay lines. */
export const visibleLines = (text: string): string => text.split('\n').map(visible).join('\n')
