// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title EIP-712 types of the calling list's intents
/// @dev Same structs as shared/trigger/intents.ts.
library Intents {
    bytes32 internal constant REGISTER =
        keccak256("Register(address owner,bytes32 descHash,uint256 fundWei,uint256 relayFeeWei,uint256 nonce,uint64 deadline)");
    bytes32 internal constant REVISE =
        keccak256("Revise(address owner,bytes32 id,bytes32 descHash,uint256 relayFeeWei,uint256 nonce,uint64 deadline)");
    bytes32 internal constant PAUSE = keccak256("Pause(address owner,bytes32 id,uint256 relayFeeWei,uint256 nonce,uint64 deadline)");
    bytes32 internal constant RESUME = keccak256("Resume(address owner,bytes32 id,uint256 relayFeeWei,uint256 nonce,uint64 deadline)");
    bytes32 internal constant FUND =
        keccak256("Fund(address owner,bytes32 id,uint256 amountWei,uint256 relayFeeWei,uint256 nonce,uint64 deadline)");
    bytes32 internal constant WITHDRAW =
        keccak256("Withdraw(address owner,bytes32 id,uint256 amountWei,uint256 relayFeeWei,uint256 nonce,uint64 deadline)");
    bytes32 internal constant CANCEL = keccak256("Cancel(address owner,bytes32 id,uint256 relayFeeWei,uint256 nonce,uint64 deadline)");

    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)");
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @dev The salt keeps a signature from counting on another genesis with the same chain id.
    function separator(bytes32 salt) internal view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, keccak256("Fusion CallingList"), keccak256("1"), block.chainid, address(this), salt));
    }

    /// @dev Zero address for anything but a 65-byte signature with low s.
    function signer(bytes32 digest, bytes calldata signature) internal pure returns (address) {
        if (signature.length != 65) return address(0);
        bytes32 r = bytes32(signature[0:32]);
        bytes32 s = bytes32(signature[32:64]);
        uint8 v = uint8(signature[64]);
        if (v < 27) v += 27;
        if (uint256(s) > HALF_ORDER || v > 28) return address(0);
        return ecrecover(digest, v, r, s);
    }
}
