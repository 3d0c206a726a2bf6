/** A small contract compiled by solc when the tests run. @module */
import { createRequire } from 'node:module'
import type { Abi } from 'viem'

const SOURCE = `
// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;
contract Counter {
  event Bumped(address indexed by, uint256 value);
  error TooBig(uint256 value);
  uint256 public value;
  function bump(uint256 by) external {
    if (by > 100) revert TooBig(by);
    require(by != 13, "unlucky");
    assert(by != 7);
    value += by;
    emit Bumped(msg.sender, value);
  }
  function context() external view returns (uint256, uint256, uint256, address, uint256) {
    return (block.number, block.timestamp, block.prevrandao, block.coinbase, block.chainid);
  }
}`

type Artifact = Readonly<{ abi: Abi; bytecode: `0x${string}` }>

/** ABI and creation code. */
export function compileCounter(): Artifact {
  const solc = createRequire(import.meta.url)('solc') as { compile: (input: string) => string }
  const input = {
    language: 'Solidity',
    sources: { 'Counter.sol': { content: SOURCE } },
    settings: { evmVersion: 'cancun', outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } } },
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input))) as {
    contracts?: { 'Counter.sol': { Counter: { abi: Abi; evm: { bytecode: { object: string } } } } }
    errors?: unknown
  }
  const compiled = output.contracts?.['Counter.sol'].Counter
  if (compiled === undefined) throw new Error(JSON.stringify(output.errors))
  return { abi: compiled.abi, bytecode: `0x${compiled.evm.bytecode.object}` }
}
