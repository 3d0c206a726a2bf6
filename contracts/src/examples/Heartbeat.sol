// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TriggerTarget} from "../TriggerTarget.sol";

/// @title Counts the fires of an interval or cron trigger
contract Heartbeat is TriggerTarget {
    uint256 public beats;
    /// @notice Time of the last fire as scheduled, Unix ms.
    uint64 public lastScheduledAtMs;

    event Beat(uint256 indexed number, uint64 scheduledAtMs, uint256 blockTimeSec);

    constructor(address owner) TriggerTarget(owner) {}

    /// @param scheduledAtMs `fire.scheduledAt`
    function beat(uint64 scheduledAtMs) external onlyTrigger {
        beats++;
        lastScheduledAtMs = scheduledAtMs;
        emit Beat(beats, scheduledAtMs, block.timestamp);
    }
}
