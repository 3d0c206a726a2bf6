/** The arithmetic behind measured figures, and the CPU accounts of a process tree. @module */
import { spawn } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { treeTimes } from '../../../bench/process-tree.ts'
import { wholeNumber } from '../../../bench/script.ts'
import { rangeOf, spreadOf } from '../../../bench/statistics.ts'

describe('a spread', () => {
  it('takes percentiles by nearest rank, whatever the order of the samples', () => {
    const samples = Array.from({ length: 100 }, (_, index) => 100 - index)
    expect(spreadOf('x', samples)).toEqual({ name: 'x', samples: 100, p50: 50, p99: 99, max: 100 })
    expect(spreadOf('x', [30, 10, 20])).toEqual({ name: 'x', samples: 3, p50: 20, p99: 30, max: 30 })
  })
  it('invents nothing when nothing was measured', () => {
    expect(spreadOf('x', [])).toEqual({ name: 'x', samples: 0, p50: null, p99: null, max: null })
  })
})

describe('a range', () => {
  it('is median, tenth and ninetieth percentile to a tenth', () => {
    expect(rangeOf(Array.from({ length: 10 }, (_, index) => 10.04 - index))).toEqual({ samples: 10, p10: 1, p50: 5, p90: 9 })
    expect(rangeOf([])).toEqual({ samples: 0, p10: null, p50: null, p90: null })
  })
})

describe('a flag with a number', () => {
  it('is a whole number from its least up', () => {
    expect(wholeNumber('60', 'seconds', 1)).toBe(60)
    for (const text of ['0', '-1', '1.5', '', 'x', '1e3', '99999999999999999999'])
      expect(() => wholeNumber(text, 'seconds', 1), text).toThrow('--seconds')
  })
})

describe('the accounts of a process tree', () => {
  it('count a grandchild that works', async () => {
    const busy = 'const end=Date.now()+400;while(Date.now()<end);console.log("done");setInterval(()=>{},1000)'
    const parent = `const c=require('node:child_process').spawn(process.execPath,['-e',${JSON.stringify(busy)}],{stdio:'inherit'});process.on('SIGTERM',()=>{c.kill();process.exit()})`
    const child = spawn(process.execPath, ['-e', parent], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    const tree = treeTimes(child.pid ?? 0)
    child.kill('SIGTERM')
    expect(tree.size).toBe(2)
    expect(tree.has(child.pid ?? 0)).toBe(true)
    expect([...tree.values()].reduce((total, { cpuSeconds }) => total + cpuSeconds, 0)).toBeGreaterThan(0.1)
    expect(tree.has(process.pid)).toBe(false)
  })
})
