// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Bytes kept as contract code
/// @dev Cheaper than storage above some 60 bytes. The code begins with STOP, so that nobody can run it. Equal content has one address
/// (CREATE2, zero salt) and is written once.
library CodeStore {
    error StoreFailed();

    /// @dev Prefix: PUSH2 length, DUP1, PUSH1 offset, PUSH0, CODECOPY, PUSH0, RETURN, then STOP and the content.
    function write(bytes calldata content) internal returns (address store) {
        bytes memory init = abi.encodePacked(hex"61", uint16(content.length + 1), hex"80600a5f395ff300", content);
        bytes32 hash = keccak256(init);
        store = address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", address(this), bytes32(0), hash)))));
        if (store.code.length != 0) return store;
        address created;
        assembly ("memory-safe") {
            created := create2(0, add(init, 32), mload(init), 0)
        }
        if (created != store) revert StoreFailed();
    }

    function read(address store) internal view returns (bytes memory content) {
        uint256 length = store.code.length - 1;
        content = new bytes(length);
        assembly ("memory-safe") {
            extcodecopy(store, add(content, 32), 1, length)
        }
    }
}
