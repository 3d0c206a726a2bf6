/** The VRF against the published examples of RFC 9381, appendix B.3, and against wrong proofs. @module */
import { describe, expect, it } from 'vitest'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { vrfProve, vrfVerify } from '#shared/crypto/vrf.ts'
import { createHhcmCrypto } from '#shared/hhcm/crypto.ts'

/** RFC 9381 examples 16, 17 and 18: secret key, public key, input, proof, output. */
const EXAMPLES = [
  {
    sk: '0x9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    pk: '0xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    alpha: '0x',
    pi: '0x8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f26f8a57ccaed74ee1b190bed1f479d9727d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805',
    beta: '0x90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae',
  },
  {
    sk: '0x4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    pk: '0x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    alpha: '0x72',
    pi: '0xf3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed5933bf0864a62558b3ed7f2fea45c92a465301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02',
    beta: '0xeb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb5e33821bc613efb94db5e5b54c70a848a0bef4553a41befc57663b56373a5031',
  },
  {
    sk: '0xc5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    pk: '0xfc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    alpha: '0xaf82',
    pi: '0x9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf8096bb474e53895c362d8628ee9f9ea3c0e52c7a5c691b6c18c9979866568add7a2d41b00b05081ed0f58ee5e31b3a970e',
    beta: '0x645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c452118fec1219202a0edcf038bb6373241578be7217ba85a2687f7a0310b2df19f',
  },
] as const

describe('ECVRF-EDWARDS25519-SHA512-TAI', () => {
  it.each(EXAMPLES)('gives proof and output of RFC 9381 for input $alpha', ({ sk, pk, alpha, pi, beta }) => {
    const proof = vrfProve(hexToBytes(sk), hexToBytes(alpha))
    expect(bytesToHex(proof)).toBe(pi)
    expect(bytesToHex(vrfVerify(hexToBytes(pk), hexToBytes(alpha), proof) ?? new Uint8Array(0))).toBe(beta)
  })

  it('refuses a proof with any changed byte', () => {
    const { pk, alpha, pi } = EXAMPLES[1]
    for (let index = 0; index < 80; index++) {
      const proof = hexToBytes(pi)
      proof[index] = (proof[index] ?? 0) ^ 1
      expect(vrfVerify(hexToBytes(pk), hexToBytes(alpha), proof), `byte ${index}`).toBeNull()
    }
  })

  it('refuses another input, another key, a short proof, a key of small order and a response above the group order', () => {
    const [, { pk, alpha, pi }, other] = EXAMPLES
    const proof = hexToBytes(pi)
    expect(vrfVerify(hexToBytes(pk), hexToBytes('0x73'), proof)).toBeNull()
    expect(vrfVerify(hexToBytes(other.pk), hexToBytes(alpha), proof)).toBeNull()
    expect(vrfVerify(hexToBytes(pk), hexToBytes(alpha), proof.subarray(0, 79))).toBeNull()
    // The neutral element: proves anything with challenge times zero.
    const neutral = Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 1 : 0))
    expect(vrfVerify(neutral, hexToBytes(alpha), proof)).toBeNull()
    // s + order is the same scalar in another encoding; accepting it would make proofs malleable.
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    let scalar = 0n
    for (let index = 79; index >= 48; index--) scalar = (scalar << 8n) | BigInt(proof[index] ?? 0)
    const malleable = Uint8Array.from(proof)
    for (let index = 48, rest = scalar + order; index < 80; index++, rest >>= 8n) malleable[index] = Number(rest & 255n)
    expect(vrfVerify(hexToBytes(pk), hexToBytes(alpha), malleable)).toBeNull()
  })
})

describe('the reference operations of a consensus key', () => {
  const [{ sk, pk }] = EXAMPLES
  const crypto = createHhcmCrypto(hexToBytes(sk))

  it('signs as RFC 8032, test 1', () => {
    expect(bytesToHex(crypto.sign(new Uint8Array(0)))).toBe(
      '0xe5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    )
  })

  it('verifies its own signature and nothing else, malformed input included', () => {
    const message = Uint8Array.of(1, 2, 3)
    const signature = bytesToHex(crypto.sign(message))
    expect(crypto.verify(pk, message, signature)).toBe(true)
    expect(crypto.verify(pk, Uint8Array.of(1, 2, 4), signature)).toBe(false)
    expect(crypto.verify('0x00', message, signature)).toBe(false)
    expect(crypto.verify(pk, message, '0x1234')).toBe(false)
  })

  it('refuses a signature that holds only under cofactored verification', () => {
    // A = R = the neutral element, S = 0: accepted by ZIP 215, refused by RFC 8032 with small-order keys excluded.
    const neutral = `01${'00'.repeat(31)}` as const
    expect(crypto.verify(`0x${neutral}`, Uint8Array.of(9), `0x${neutral}${'00'.repeat(32)}`)).toBe(false)
  })
})
