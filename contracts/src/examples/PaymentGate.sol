// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Triggered} from "./Triggered.sol";

/// @title Payment gate: opens an account here for whoever paid on a foreign chain
/// @notice Meant for a `chain.deposit` trigger with `paid(address,uint256,bytes32)` and deposit.from, deposit.amount, deposit.txid.
contract PaymentGate is Triggered {
    mapping(address payer => uint256 amountWei) public paidWei;
    uint256 public count;

    event Paid(address indexed payer, uint256 amountWei, bytes32 indexed foreignTransaction);

    constructor(address owner_) Triggered(owner_) {}

    function paid(address payer, uint256 amountWei, bytes32 foreignTransaction) external onlyTrigger {
        paidWei[payer] += amountWei;
        count += 1;
        emit Paid(payer, amountWei, foreignTransaction);
    }
}
