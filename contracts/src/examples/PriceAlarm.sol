// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Triggered} from "./Triggered.sol";

/// @title Price alarm: remembers every time a price crossed its level
/// @notice Meant for a `feed.compare` trigger with `ring(int256,uint64,bytes32)` and the arguments feed.value, feed.observedAt, report.digest.
contract PriceAlarm is Triggered {
    struct Ring {
        int256 value;
        uint64 observedAtMs;
        bytes32 digest;
    }

    Ring[] private _rings;

    event Alarm(uint256 indexed count, int256 value, uint64 observedAtMs, bytes32 digest);

    constructor(address owner_) Triggered(owner_) {}

    function ring(int256 value, uint64 observedAtMs, bytes32 digest) external onlyTrigger {
        _rings.push(Ring(value, observedAtMs, digest));
        emit Alarm(_rings.length, value, observedAtMs, digest);
    }

    function count() external view returns (uint256) {
        return _rings.length;
    }

    function ringAt(uint256 index) external view returns (Ring memory) {
        return _rings[index];
    }
}
