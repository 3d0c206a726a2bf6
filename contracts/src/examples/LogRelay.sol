// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Triggered} from "./Triggered.sol";

/// @title Log relay: one link of a chain of contracts that wake each other
/// @notice A `log` trigger on another contract calls `relay(address,bytes32,bytes)` with event.address, event.topic1 and event.data;
/// the event emitted here can wake the next one. Whitepaper 4.3.
contract LogRelay is Triggered {
    uint256 public relayed;

    event Relayed(uint256 indexed count, address source, bytes32 topic, bytes data);
    event Started(bytes32 indexed topic, bytes data);

    constructor(address owner_) Triggered(owner_) {}

    /// @notice Anyone may emit the first event of a chain.
    function start(bytes32 topic, bytes calldata data) external {
        emit Started(topic, data);
    }

    function relay(address source, bytes32 topic, bytes calldata data) external onlyTrigger {
        relayed += 1;
        emit Relayed(relayed, source, topic, data);
    }
}
