// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Triggered} from "./Triggered.sol";

/// @title Heartbeat: counts the beats of a timing trigger
/// @notice Meant for `interval`, `cron`, `at` and `height` with `beat(uint64)` and fire.scheduledAt. `due()` serves `view` conditions.
contract Heartbeat is Triggered {
    uint256 public beats;
    uint64 public lastScheduledAtMs;
    bool public due;

    event Beat(uint256 indexed beats, uint64 scheduledAtMs, uint256 blockTime);

    constructor(address owner_) Triggered(owner_) {}

    function beat(uint64 scheduledAtMs) external onlyTrigger {
        beats += 1;
        lastScheduledAtMs = scheduledAtMs;
        due = false;
        emit Beat(beats, scheduledAtMs, block.timestamp);
    }

    /// @notice Anyone may ask for a beat; a `view` trigger on `due()` answers.
    function ask() external {
        due = true;
    }
}
