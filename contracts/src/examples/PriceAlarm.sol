// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IFeedRegistry} from "../IFeedRegistry.sol";
import {TriggerTarget} from "../TriggerTarget.sol";

/// @title Records every crossing of a price, and can read the feed behind it at any time
contract PriceAlarm is TriggerTarget {
    IFeedRegistry private constant FEEDS = IFeedRegistry(0x0000000000000000000000000000000000004602);

    uint256 public rings;
    int256 public lastPrice;

    event Alarm(uint256 indexed number, int256 price, uint64 observedAtMs, bytes32 indexed report);

    error NoFreshPrice();

    constructor(address owner) TriggerTarget(owner) {}

    /// @param price `feed.value`
    /// @param observedAtMs `feed.observedAt`
    /// @param report `report.digest`
    function ring(int256 price, uint64 observedAtMs, bytes32 report) external onlyTrigger {
        rings++;
        lastPrice = price;
        emit Alarm(rings, price, observedAtMs, report);
    }

    /// @notice Newest price of a feed; refuses one that is older than `maxAgeMs` or that sources do not stand behind.
    function priceOf(bytes32 feed, uint256 maxAgeMs) external view returns (int256) {
        IFeedRegistry.Report memory report = FEEDS.latest(feed);
        if (report.sequence == 0 || report.status != IFeedRegistry.ReportStatus.OK) revert NoFreshPrice();
        if (uint256(report.lastObservedAtMs) + maxAgeMs < block.timestamp * 1000) revert NoFreshPrice();
        return report.value;
    }
}
