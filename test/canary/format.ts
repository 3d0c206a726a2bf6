/** Bad on purpose: the formatter must want to change it. @module */
export const   spaced = { "a" : 1 } ;
