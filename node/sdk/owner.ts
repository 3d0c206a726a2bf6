/** What the calling list holds for an owner: read from a validator, not from the edge that will relay. @module */
import { createPublicClient, http } from 'viem'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import { CALLING_LIST } from '#shared/system.ts'
import type { Address, Wei } from '#shared/types.ts'

/** Balance that pays for deposits, funding and relay fees, and the nonce of the next intent. */
export type OwnerAccount = Readonly<{ balanceWei: Wei; nonce: bigint }>

/** Reads an owner's account in the calling list at the head. */
export async function readOwner(rpcUrl: string, owner: Address): Promise<OwnerAccount> {
  const client = createPublicClient({ transport: http(rpcUrl) })
  const read = (functionName: 'balanceOf' | 'intentNonce') =>
    client.readContract({ address: CALLING_LIST, abi: callingListAbi, functionName, args: [owner] })
  const [balanceWei, nonce] = await Promise.all([read('balanceOf'), read('intentNonce')])
  return { balanceWei, nonce }
}
