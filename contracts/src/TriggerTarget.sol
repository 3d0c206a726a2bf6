// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Base of contracts that only their owner's triggers may call
/// @notice Calls of a trigger come from one address per owner, which has no key: the network alone calls from it.
abstract contract TriggerTarget {
    /// @notice The only accepted caller.
    address public immutable triggerCaller;

    error NotTrigger(address caller);

    /// @param owner account that registers the triggers
    constructor(address owner) {
        triggerCaller = address(uint160(uint256(keccak256(abi.encodePacked("fusion.trigger", owner)))));
    }

    modifier onlyTrigger() {
        if (msg.sender != triggerCaller) revert NotTrigger(msg.sender);
        _;
    }
}
