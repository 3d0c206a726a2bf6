// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TriggerTarget} from "../TriggerTarget.sol";

/// @title Pays the insured every time that it rains enough
/// @notice Nobody files a claim: a `feed.compare` trigger calls when the reported rain rises over the level of its description.
contract RainInsurance is TriggerTarget {
    address payable public immutable insured;
    uint256 public immutable payoutWei;
    uint256 public payouts;
    /// @dev A report pays once, even if two triggers point here.
    mapping(bytes32 digest => bool) public isSettled;

    event PaidOut(address indexed insured, uint256 amountWei, int256 rain, bytes32 indexed report);

    error AlreadySettled(bytes32 report);
    error CoverExhausted(uint256 balanceWei);
    error PayoutFailed();

    /// @param owner account that registers the trigger
    constructor(address owner, address payable insured_, uint256 payoutWei_) payable TriggerTarget(owner) {
        insured = insured_;
        payoutWei = payoutWei_;
    }

    /// @notice Adds cover.
    receive() external payable {}

    /// @param rain `feed.value`, in the feed's decimals
    /// @param report `report.digest`: which report made the condition true
    function rained(int256 rain, bytes32 report) external onlyTrigger {
        if (isSettled[report]) revert AlreadySettled(report);
        if (address(this).balance < payoutWei) revert CoverExhausted(address(this).balance);
        isSettled[report] = true;
        payouts++;
        emit PaidOut(insured, payoutWei, rain, report);
        (bool ok,) = insured.call{value: payoutWei}("");
        if (!ok) revert PayoutFailed();
    }
}
