/** Bad on purpose: the compiler must refuse it under the options of `shared/`. @module */
export const leaked: number = setTimeout(() => console.log(process.pid), 1)
