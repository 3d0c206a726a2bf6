// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICallingList} from "../ICallingList.sol";
import {TriggerTarget} from "../TriggerTarget.sol";

/// @title A contract that owns its trigger: it registers itself, pays for itself, and ends itself
contract Countdown is TriggerTarget {
    ICallingList private constant LIST = ICallingList(0x0000000000000000000000000000000000004601);

    bytes32 public trigger;
    uint256 public left;

    event Counted(uint256 left);

    error AlreadyStarted();

    constructor(uint256 steps) TriggerTarget(address(this)) {
        left = steps;
    }

    /// @notice Takes back what the calling list returns.
    receive() external payable {}

    /// @param description trigger that calls `step()`
    function begin(bytes calldata description) external payable {
        if (trigger != 0) revert AlreadyStarted();
        trigger = LIST.register{value: msg.value}(description);
    }

    /// @notice One fire. In the last one the trigger is cancelled and its funding comes home, all inside the call it made.
    function step() external onlyTrigger {
        emit Counted(--left);
        if (left > 0) return;
        LIST.cancel(trigger);
        LIST.withdrawBalance(LIST.balanceOf(address(this)));
    }
}
