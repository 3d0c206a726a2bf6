// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TriggerTarget} from "../TriggerTarget.sol";

/// @title Opens for whoever paid on another chain
/// @notice A `chain.deposit` trigger calls with the payment that reporters attested.
contract PaymentGate is TriggerTarget {
    mapping(address payer => uint256) public paidWei;
    mapping(bytes32 txid => bool) public isSeen;
    uint256 public payments;

    event Paid(address indexed payer, uint256 amountWei, bytes32 indexed txid);

    error PaymentSeen(bytes32 txid);

    constructor(address owner) TriggerTarget(owner) {}

    /// @param payer `deposit.from`
    /// @param amountWei `deposit.amount`, in the foreign chain's smallest unit
    /// @param txid `deposit.txid`
    function paid(address payer, uint256 amountWei, bytes32 txid) external onlyTrigger {
        if (isSeen[txid]) revert PaymentSeen(txid);
        isSeen[txid] = true;
        paidWei[payer] += amountWei;
        payments++;
        emit Paid(payer, amountWei, txid);
    }

    function isOpenFor(address payer) external view returns (bool) {
        return paidWei[payer] > 0;
    }
}
