// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICallingList} from "./ICallingList.sol";
import {CodeStore} from "./CodeStore.sol";
import {IFeedRegistry} from "./IFeedRegistry.sol";
import {Intents} from "./Intents.sol";

/// @title Calling list
/// @dev Predeploy without a constructor: genesis writes slot 0. The protocol reads and writes rows by their layout
/// (shared/trigger/calling-list.ts); a test runs both against each other. All value that enters is owed to a row or a balance.
contract CallingList is ICallingList {
    /// @dev Accounts of owners.
    struct Account {
        uint128 balanceWei;
        uint64 nonce;
        uint64 registrations;
    }

    /// @dev What the decoder answers.
    struct Decoded {
        uint256 dueAt;
        uint256 kind;
        uint256 fireGas;
        uint256 expiresAtMs;
        uint256 maxFires;
        uint256 reserveWei;
        bytes32 watchKey;
        uint256 depositWei;
    }

    address private constant TRIGGER_DECODER = 0x0000000000000000000000000000000000004610;
    IFeedRegistry private constant FEED_REGISTRY = IFeedRegistry(0x0000000000000000000000000000000000004602);
    uint8 private constant KIND_ACTIVE = 1;
    uint8 private constant KIND_FEED = 6;

    /// @dev Slot 0.
    bytes32 public genesisHash;
    /// @dev Slot 1.
    bytes32[] private ids;
    /// @dev Slot 2.
    mapping(bytes32 id => Row) private rows;
    /// @dev Slot 3.
    mapping(address owner => Account) private accounts;
    /// @dev Slot 4, written by the protocol only.
    mapping(bytes32 fireKey => uint256) public firedAt;

    receive() external payable {
        _credit(msg.sender, msg.value);
    }

    // ---------------------------------------------------------------- the owner's own calls

    function register(bytes calldata description) external payable returns (bytes32) {
        _credit(msg.sender, msg.value);
        Decoded memory decoded = _decode(description);
        uint256 fundWei = msg.value > decoded.depositWei ? msg.value - decoded.depositWei : 0;
        return _register(msg.sender, description, decoded, fundWei);
    }

    function revise(bytes32 id, bytes calldata description) external payable {
        _credit(msg.sender, msg.value);
        _revise(msg.sender, id, description);
    }

    function pause(bytes32 id) external {
        _pause(msg.sender, id);
    }

    function resume(bytes32 id) external {
        _resume(msg.sender, id);
    }

    function fund(bytes32 id) external payable {
        _addFunding(_live(id), id, msg.sender, msg.value);
    }

    function withdraw(bytes32 id, uint256 amountWei) external {
        _withdraw(msg.sender, id, amountWei);
    }

    function cancel(bytes32 id) external {
        _cancel(msg.sender, id);
    }

    function activate(bytes32 id) external {
        Row storage entry = _owned(msg.sender, id);
        if (entry.status != Status.ACTIVE) revert WrongStatus(entry.status);
        if (entry.kind != KIND_ACTIVE) revert NotActiveMode();
        emit TriggerActivated(id, ++entry.edgeCount);
    }

    function deposit() external payable {
        _credit(msg.sender, msg.value);
    }

    function withdrawBalance(uint256 amountWei) external {
        _debit(msg.sender, amountWei);
        _send(msg.sender, amountWei);
    }

    // ---------------------------------------------------------------- intents, brought by anyone

    function registerFor(address owner, bytes calldata description, uint256 fundWei, Relay calldata relay) external returns (bytes32 id) {
        _accept(
            owner,
            keccak256(
                abi.encode(Intents.REGISTER, owner, keccak256(description), fundWei, relay.feeWei, relay.nonce, relay.deadline)
            ),
            relay
        );
        id = _register(owner, description, _decode(description), fundWei);
        _send(msg.sender, relay.feeWei);
    }

    function reviseFor(address owner, bytes32 id, bytes calldata description, Relay calldata relay) external {
        _accept(
            owner,
            keccak256(abi.encode(Intents.REVISE, owner, id, keccak256(description), relay.feeWei, relay.nonce, relay.deadline)),
            relay
        );
        _revise(owner, id, description);
        _send(msg.sender, relay.feeWei);
    }

    function pauseFor(address owner, bytes32 id, Relay calldata relay) external {
        _acceptPlain(Intents.PAUSE, owner, id, relay);
        _pause(owner, id);
        _send(msg.sender, relay.feeWei);
    }

    function resumeFor(address owner, bytes32 id, Relay calldata relay) external {
        _acceptPlain(Intents.RESUME, owner, id, relay);
        _resume(owner, id);
        _send(msg.sender, relay.feeWei);
    }

    function fundFor(address owner, bytes32 id, uint256 amountWei, Relay calldata relay) external {
        _acceptAmount(Intents.FUND, owner, id, amountWei, relay);
        Row storage entry = _live(id);
        _debit(owner, amountWei);
        _addFunding(entry, id, owner, amountWei);
        _send(msg.sender, relay.feeWei);
    }

    function withdrawFor(address owner, bytes32 id, uint256 amountWei, Relay calldata relay) external {
        _acceptAmount(Intents.WITHDRAW, owner, id, amountWei, relay);
        _withdraw(owner, id, amountWei);
        _send(msg.sender, relay.feeWei);
    }

    function cancelFor(address owner, bytes32 id, Relay calldata relay) external {
        _acceptPlain(Intents.CANCEL, owner, id, relay);
        _cancel(owner, id);
        _send(msg.sender, relay.feeWei);
    }

    // ---------------------------------------------------------------- reads

    function count() external view returns (uint256) {
        return ids.length;
    }

    function idAt(uint256 index) external view returns (bytes32) {
        return ids[index];
    }

    function row(bytes32 id) external view returns (Row memory) {
        return rows[id];
    }

    function descriptionOf(bytes32 id) external view returns (bytes memory) {
        if (rows[id].status == Status.NONE) revert UnknownTrigger();
        return CodeStore.read(rows[id].description);
    }

    function balanceOf(address owner) external view returns (uint256) {
        return accounts[owner].balanceWei;
    }

    function intentNonce(address owner) external view returns (uint256) {
        return accounts[owner].nonce;
    }

    function registrations(address owner) external view returns (uint256) {
        return accounts[owner].registrations;
    }

    function domainSeparator() public view returns (bytes32) {
        return Intents.separator(genesisHash);
    }

    function stableCaller(address owner) external pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked("fusion.trigger", owner)))));
    }

    // ---------------------------------------------------------------- rows

    function _register(address owner, bytes calldata description, Decoded memory decoded, uint256 fundWei) private returns (bytes32 id) {
        if (fundWei < decoded.reserveWei) revert FundingTooLow(decoded.reserveWei);
        _debit(owner, decoded.depositWei + fundWei);
        id = keccak256(abi.encodePacked("fusion.entry", owner, accounts[owner].registrations++));
        ids.push(id);
        Row storage entry = rows[id];
        entry.owner = owner;
        entry.status = Status.ACTIVE;
        entry.fundingWei = uint128(fundWei);
        _describe(entry, description, decoded);
        emit TriggerRegistered(id, owner, decoded.watchKey, entry.kind, entry.dueAt, entry.descHash, fundWei);
    }

    function _revise(address owner, bytes32 id, bytes calldata description) private {
        Row storage entry = _owned(owner, id);
        if (entry.status == Status.EXHAUSTED || entry.status == Status.EXPIRED) entry.status = Status.ACTIVE;
        Decoded memory decoded = _decode(description);
        uint256 before = entry.depositWei;
        if (decoded.depositWei > before) _debit(owner, decoded.depositWei - before);
        else if (decoded.depositWei < before) _credit(owner, before - decoded.depositWei);
        _describe(entry, description, decoded);
        emit TriggerRevised(id, decoded.watchKey, entry.revision, entry.kind, entry.dueAt, entry.descHash);
    }

    /// @dev Starts a revision: nothing of an earlier one stays due, and what happened before this block does not count.
    function _describe(Row storage entry, bytes calldata description, Decoded memory decoded) private {
        entry.revision++;
        entry.attempt = 0;
        entry.kind = uint8(decoded.kind);
        entry.armed = true;
        entry.dueAt = uint48(decoded.dueAt);
        entry.backoffUntilMs = 0;
        entry.registeredHeight = uint48(block.number);
        entry.edgeCount = 0;
        entry.depositWei = uint80(decoded.depositWei);
        entry.registeredTimeMs = uint48(block.timestamp * 1000);
        entry.cursor = decoded.kind == KIND_FEED ? _feedCursor(decoded.watchKey) : 0;
        entry.description = CodeStore.write(description);
        entry.descHash = keccak256(description);
    }

    /// @dev The newest report still counts if a later round confirms it; older ones never do.
    function _feedCursor(bytes32 feed) private view returns (uint96) {
        uint64 newest = FEED_REGISTRY.sequenceOf(feed);
        return newest == 0 ? 0 : newest - 1;
    }

    function _pause(address owner, bytes32 id) private {
        Row storage entry = _owned(owner, id);
        if (entry.status != Status.ACTIVE) revert WrongStatus(entry.status);
        entry.status = Status.PAUSED;
        emit TriggerPaused(id);
    }

    function _resume(address owner, bytes32 id) private {
        Row storage entry = _owned(owner, id);
        if (entry.status != Status.PAUSED) revert WrongStatus(entry.status);
        entry.status = Status.ACTIVE;
        emit TriggerResumed(id);
    }

    function _addFunding(Row storage entry, bytes32 id, address from, uint256 amountWei) private {
        entry.fundingWei += uint128(amountWei);
        emit TriggerFunded(id, from, amountWei);
    }

    function _withdraw(address owner, bytes32 id, uint256 amountWei) private {
        Row storage entry = _owned(owner, id);
        if (entry.fundingWei < amountWei) revert InsufficientBalance(entry.fundingWei, amountWei);
        entry.fundingWei -= uint128(amountWei);
        _credit(owner, amountWei);
        emit TriggerWithdrawn(id, amountWei);
    }

    function _cancel(address owner, bytes32 id) private {
        Row storage entry = _owned(owner, id);
        uint256 refundWei = uint256(entry.fundingWei) + entry.depositWei;
        entry.status = Status.CANCELLED;
        entry.fundingWei = 0;
        entry.depositWei = 0;
        _credit(owner, refundWei);
        emit TriggerCancelled(id, refundWei);
    }

    function _live(bytes32 id) private view returns (Row storage entry) {
        entry = rows[id];
        if (entry.status == Status.NONE) revert UnknownTrigger();
        if (entry.status == Status.CANCELLED) revert WrongStatus(entry.status);
    }

    function _owned(address owner, bytes32 id) private view returns (Row storage entry) {
        entry = _live(id);
        if (entry.owner != owner) revert NotOwner();
    }

    /// @dev Only what the protocol's own decoder accepts becomes a row.
    function _decode(bytes calldata description) private view returns (Decoded memory decoded) {
        (bool ok, bytes memory answer) =
            TRIGGER_DECODER.staticcall(abi.encodePacked(block.timestamp * 1000, block.number, description));
        if (!ok || answer.length != 256) revert DescriptionInvalid(ok ? bytes("") : answer);
        decoded = abi.decode(answer, (Decoded));
    }

    // ---------------------------------------------------------------- balances and intents

    /// @dev Every amount is part of the supply and fits 128 bits.
    function _credit(address owner, uint256 amountWei) private {
        if (amountWei == 0) return;
        emit BalanceChanged(owner, accounts[owner].balanceWei += uint128(amountWei));
    }

    function _debit(address owner, uint256 amountWei) private {
        if (amountWei == 0) return;
        uint256 balanceWei = accounts[owner].balanceWei;
        if (balanceWei < amountWei) revert InsufficientBalance(balanceWei, amountWei);
        emit BalanceChanged(owner, accounts[owner].balanceWei = uint128(balanceWei - amountWei));
    }

    /// @dev Last act of a function: the receiver's code may call back.
    function _send(address to, uint256 amountWei) private {
        if (amountWei == 0) return;
        (bool ok,) = to.call{value: amountWei}("");
        if (!ok) revert TransferFailed();
    }

    function _acceptPlain(bytes32 typeHash, address owner, bytes32 id, Relay calldata relay) private {
        _accept(owner, keccak256(abi.encode(typeHash, owner, id, relay.feeWei, relay.nonce, relay.deadline)), relay);
    }

    function _acceptAmount(bytes32 typeHash, address owner, bytes32 id, uint256 amountWei, Relay calldata relay) private {
        _accept(owner, keccak256(abi.encode(typeHash, owner, id, amountWei, relay.feeWei, relay.nonce, relay.deadline)), relay);
    }

    function _accept(address owner, bytes32 structHash, Relay calldata relay) private {
        if (block.timestamp > relay.deadline) revert IntentExpired();
        Account storage account = accounts[owner];
        if (relay.nonce != account.nonce) revert IntentNonce(account.nonce);
        account.nonce++;
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domainSeparator(), structHash));
        if (Intents.signer(digest, relay.signature) != owner) revert IntentSignature();
        _debit(owner, relay.feeWei);
    }
}
