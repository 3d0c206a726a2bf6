/** Text of a file, put into the module graph by the test runner: the Workers runtime has no files. @module */
declare module '*.jsonl?raw' {
  const text: string
  export default text
}
