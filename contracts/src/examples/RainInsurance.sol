// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Triggered} from "./Triggered.sol";

/// @title Rain insurance: pays the insured on every day of heavy rain until the cover is used up
/// @notice Nobody files a claim: a `feed.compare` trigger on a precipitation feed calls `rained(int256,bytes32)`.
contract RainInsurance is Triggered {
    address public immutable insured;
    uint256 public immutable payoutWei;
    uint256 public payouts;

    /// What could not be delivered waits here for the insured.
    uint256 public owedWei;

    event Paid(address indexed insured, uint256 amountWei, int256 rain, bytes32 digest, uint256 payouts);
    event CoverUsedUp(int256 rain, bytes32 digest);
    event CoverAdded(address indexed from, uint256 amountWei);

    error TransferFailed();

    constructor(address owner_, address insured_, uint256 payoutWei_) payable Triggered(owner_) {
        insured = insured_;
        payoutWei = payoutWei_;
    }

    receive() external payable {
        emit CoverAdded(msg.sender, msg.value);
    }

    /// @notice Cover that is left, in wei.
    function coverWei() public view returns (uint256) {
        return address(this).balance - owedWei;
    }

    function rained(int256 rain, bytes32 digest) external onlyTrigger {
        if (coverWei() < payoutWei) {
            emit CoverUsedUp(rain, digest);
            return;
        }
        payouts += 1;
        (bool delivered,) = insured.call{value: payoutWei, gas: 50_000}("");
        if (!delivered) owedWei += payoutWei;
        emit Paid(insured, payoutWei, rain, digest, payouts);
    }

    /// @notice Collects what could not be delivered.
    function collect() external {
        uint256 amountWei = owedWei;
        owedWei = 0;
        (bool delivered,) = insured.call{value: amountWei}("");
        if (!delivered) revert TransferFailed();
    }
}
