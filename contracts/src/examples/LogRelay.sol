// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TriggerTarget} from "../TriggerTarget.sol";

/// @title A link in a chain of contracts that wake each other
/// @notice A `log` trigger calls with the log of the link before; this link's own log wakes the next, one block later. Whitepaper 4.3.
contract LogRelay is TriggerTarget {
    uint256 public relayed;

    event Relayed(bytes32 indexed subject, address indexed from, uint256 hops);

    error MalformedLog();

    constructor(address owner) TriggerTarget(owner) {}

    /// @notice Starts a chain.
    function start(bytes32 subject) external {
        emit Relayed(subject, msg.sender, 0);
    }

    /// @param subject `event.topic1`
    /// @param from `event.address`
    /// @param data `event.data`: the hops so far
    function relay(bytes32 subject, address from, bytes calldata data) external onlyTrigger {
        if (data.length != 32) revert MalformedLog();
        relayed++;
        emit Relayed(subject, from, uint256(bytes32(data)) + 1);
    }
}
