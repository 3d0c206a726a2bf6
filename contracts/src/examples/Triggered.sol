// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Base of contracts that only their owner's triggers may call
/// @notice The network calls from one address per owner that nobody has a key to; it stays the same over revisions of a trigger.
abstract contract Triggered {
    address public immutable owner;
    address public immutable triggerCaller;

    error NotTriggered(address caller);

    constructor(address owner_) {
        owner = owner_;
        triggerCaller = address(uint160(uint256(keccak256(abi.encodePacked("fusion.trigger", owner_)))));
    }

    modifier onlyTrigger() {
        if (msg.sender != triggerCaller) revert NotTriggered(msg.sender);
        _;
    }
}
