/** `fusion faucet`, `balance`, `deposit`, `withdraw`: coins of a user, outside and inside the calling list. @module */
import { createPublicClient, createWalletClient, defineChain, http, BaseError } from 'viem'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import { CALLING_LIST } from '#shared/system.ts'
import type { Address, Wei } from '#shared/types.ts'
import type { Command, Outcome } from '#node/cli/command.ts'
import { CommandFailed, KEY_OPTIONS } from '#node/cli/command.ts'
import type { Session } from '#node/cli/session.ts'
import { readAddress, readFsn } from '#node/cli/session.ts'
import { fields, fsn } from '#node/cli/table.ts'
import { addressOf, readOwner } from '#node/sdk/index.ts'

const WAIT_MS = 60_000

async function target(session: Session): Promise<Address> {
  const [given] = session.line.operands
  return given === undefined ? addressOf(await session.account()) : readAddress(given)
}

async function faucet(session: Session): Promise<Outcome> {
  const address = await target(session)
  const { txHash, amountWei } = await session.client().faucet(address)
  return { json: { address, txHash, amountWei: amountWei.toString() }, text: `${fsn(amountWei)} on the way to ${address} in ${txHash}` }
}

async function balance(session: Session): Promise<Outcome> {
  const address = await target(session)
  const rpcUrl = await session.rpcUrl()
  try {
    const [walletWei, { balanceWei, nonce }] = await Promise.all([
      createPublicClient({ transport: http(rpcUrl) }).getBalance({ address }),
      readOwner(rpcUrl, address),
    ])
    const text = fields([
      ['address', address],
      ['account', fsn(walletWei)],
      ['in the calling list', fsn(balanceWei)],
      ['next intent nonce', String(nonce)],
    ])
    return {
      json: { address, walletWei: walletWei.toString(), callingListWei: balanceWei.toString(), intentNonce: nonce.toString() },
      text,
    }
  } catch (error) {
    throw asFailure(error)
  }
}

const asFailure = (error: unknown): Error => (error instanceof BaseError ? new CommandFailed(error.shortMessage) : (error as Error))

/** Sends an ordinary transaction to the calling list and waits for its block. */
async function send(
  session: Session,
  call: Readonly<{ functionName: 'deposit'; value: Wei } | { functionName: 'withdrawBalance'; amount: Wei }>,
): Promise<Outcome> {
  const account = await session.account()
  const rpcUrl = await session.rpcUrl()
  const reader = createPublicClient({ transport: http(rpcUrl), pollingInterval: 300 })
  try {
    const chain = defineChain({
      id: await reader.getChainId(),
      name: 'Fusion',
      nativeCurrency: { name: 'FSN', symbol: 'FSN', decimals: 18 },
      rpcUrls: { default: { http: [rpcUrl] } },
    })
    const wallet = createWalletClient({ account, chain, transport: http(rpcUrl) })
    const contract = { address: CALLING_LIST, abi: callingListAbi } as const
    const hash =
      call.functionName === 'deposit'
        ? await wallet.writeContract({ ...contract, functionName: 'deposit', value: call.value })
        : await wallet.writeContract({ ...contract, functionName: 'withdrawBalance', args: [call.amount] })
    const { status, blockNumber } = await reader.waitForTransactionReceipt({ hash, timeout: WAIT_MS })
    if (status !== 'success') throw new CommandFailed(`the transaction ${hash} reverted in block ${blockNumber}`)
    const { balanceWei } = await readOwner(rpcUrl, addressOf(account))
    return {
      json: { hash, blockNumber: Number(blockNumber), callingListWei: balanceWei.toString() },
      text: `in block ${blockNumber}; balance in the calling list ${fsn(balanceWei)}`,
    }
  } catch (error) {
    throw asFailure(error)
  }
}

/** Commands about a user's coins. */
export const accountCommands: readonly Command[] = [
  {
    path: 'faucet',
    operands: '[address]',
    summary: 'coins on a development network (default: to the signing key)',
    options: KEY_OPTIONS,
    run: faucet,
  },
  {
    path: 'balance',
    operands: '[address]',
    summary: 'coins of an account, and its balance in the calling list',
    options: KEY_OPTIONS,
    run: balance,
  },
  {
    path: 'deposit',
    operands: '<fsn>',
    summary: 'add to your balance in the calling list, which pays for intents',
    options: KEY_OPTIONS,
    run: (session) => send(session, { functionName: 'deposit', value: readFsn(session.operand(0)) }),
  },
  {
    path: 'withdraw',
    operands: '<fsn>',
    summary: 'take from your balance in the calling list',
    options: KEY_OPTIONS,
    run: (session) => send(session, { functionName: 'withdrawBalance', amount: readFsn(session.operand(0)) }),
  },
]
