// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Calls of the key precompile
/// @dev The first byte of the input selects; layouts in docs/protocol.md, key precompile. A malformed input reverts with its code.
library Dcrm {
    address internal constant PRECOMPILE = 0x0000000000000000000000000000000000004611;
    address internal constant KEY_MANAGER = 0x0000000000000000000000000000000000004608;
    address internal constant KEY_CONDUCT = 0x0000000000000000000000000000000000004609;
    address internal constant NODE_RESERVE = 0x0000000000000000000000000000000000004603;

    /// @dev What fixes a draw: block randomness, the session it is for, its retry.
    struct Draw {
        bytes32 randomness;
        bytes32 request;
        uint16 attempt;
    }

    function readHeader(bytes calldata header) internal view returns (bytes32 hash, uint256 number, bytes32 randomness) {
        return abi.decode(_call(abi.encodePacked(uint8(1), header)), (bytes32, uint256, bytes32));
    }

    function committee(Draw memory draw, uint8 size, bytes memory candidates) internal view returns (uint16[] memory) {
        return _ids(_call(abi.encodePacked(uint8(2), _draw(draw), size, uint8(candidates.length / 22), candidates)));
    }

    function verify(uint8 scheme, bytes memory key, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        if (key.length > 255) return false;
        return abi.decode(_call(abi.encodePacked(uint8(3), scheme, uint8(key.length), key, digest, signature)), (bool));
    }

    function childKey(uint8 scheme, bytes32 request, uint8 purpose, bytes32 subject, bytes memory key) internal view returns (bytes memory) {
        return _call(abi.encodePacked(uint8(4), scheme, request, purpose, subject, key));
    }

    function addressText(uint8 scheme, bytes memory key) internal view returns (string memory) {
        return string(_call(abi.encodePacked(uint8(5), scheme, key)));
    }

    function signingSet(Draw memory draw, uint8 threshold, bytes memory graph) internal view returns (uint16[] memory) {
        return _ids(_call(abi.encodePacked(uint8(6), _draw(draw), threshold, graph)));
    }

    /// @return code of the proven fault, empty when the evidence proves nothing against the accused
    function judge(uint16 accused, bytes32 signKey, bytes calldata evidence) internal view returns (string memory code) {
        return string(_call(abi.encodePacked(uint8(7), accused, signKey, evidence)));
    }

    function genericDigest(bytes32 genesis, bytes32 request, bytes32 message) internal view returns (bytes32) {
        return abi.decode(_call(abi.encodePacked(uint8(8), genesis, request, message)), (bytes32));
    }

    function heartbeatDigest(bytes32 genesis, bytes32 key, uint64 epoch, bytes32 randomness) internal view returns (bytes32) {
        return abi.decode(_call(abi.encodePacked(uint8(9), genesis, key, epoch, randomness)), (bytes32));
    }

    function largestSet(bytes memory graph) internal view returns (uint256) {
        return abi.decode(_call(abi.encodePacked(uint8(10), graph)), (uint256));
    }

    /// @dev Who may sign with whom: members, disputes between them, members left out.
    function graphOf(uint16[] memory members, uint32[] memory disputes, uint16[] memory excluded) internal pure returns (bytes memory) {
        bytes memory pairs = _room(4 * disputes.length);
        for (uint256 index = 0; index < disputes.length; index++) _put(pairs, 4 * index, uint256(disputes[index]) << 224);
        return abi.encodePacked(
            uint8(members.length), _pack(members), uint16(disputes.length), pairs, uint8(excluded.length), _pack(excluded)
        );
    }

    /// @dev Candidates as the draw takes them; see `putCandidate`.
    function candidateRoom(uint256 count) internal pure returns (bytes memory) {
        return _room(22 * count);
    }

    function putCandidate(bytes memory candidates, uint256 index, uint16 id, address operator) internal pure {
        _put(candidates, 22 * index, (uint256(id) << 240) | (uint256(uint160(operator)) << 80));
    }

    /// @dev Bytes with a word to spare behind them, so that `_put` may write a whole word at every place.
    function _room(uint256 length) private pure returns (bytes memory target) {
        target = new bytes(length + 32);
        assembly ("memory-safe") {
            mstore(target, length)
        }
    }

    /// @dev Writes the leading bytes of a word; the zeros behind them are overwritten by the next.
    function _put(bytes memory target, uint256 offset, uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(add(add(target, 32), offset), word)
        }
    }

    function _draw(Draw memory draw) private pure returns (bytes memory) {
        return abi.encodePacked(draw.randomness, draw.request, draw.attempt);
    }

    function _pack(uint16[] memory ids) private pure returns (bytes memory packed) {
        packed = _room(2 * ids.length);
        for (uint256 index = 0; index < ids.length; index++) _put(packed, 2 * index, uint256(ids[index]) << 240);
    }

    function _ids(bytes memory packed) private pure returns (uint16[] memory ids) {
        ids = new uint16[](packed.length / 2);
        for (uint256 index = 0; index < ids.length; index++) {
            ids[index] = (uint16(uint8(packed[2 * index])) << 8) | uint8(packed[2 * index + 1]);
        }
    }

    function _call(bytes memory input) private view returns (bytes memory) {
        (bool ok, bytes memory output) = PRECOMPILE.staticcall(input);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(output, 32), mload(output))
            }
        }
        return output;
    }
}
