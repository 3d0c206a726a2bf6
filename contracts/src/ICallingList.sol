// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The calling list: contracts that want to be called, when, and who pays for it
/// @notice Predeployed at 0x…4601. A row ("trigger") holds a description in the binary encoding of the protocol; the network calls the
/// described target when the description's condition holds. Calls come from `stableCaller(owner)`. Whitepaper 4.4.1, 4.4.2.
interface ICallingList {
    /// @notice Life of a row. Only ACTIVE rows fire.
    enum Status {
        NONE,
        ACTIVE,
        PAUSED,
        EXHAUSTED,
        EXPIRED,
        CANCELLED
    }

    /// @notice One row: five storage slots, written by this contract and, for fires, by the protocol itself.
    /// @param owner who registered it and pays
    /// @param revision counts from 1; a new one ends all occurrences of the old
    /// @param fires occurrences consumed by a call
    /// @param status life of the row
    /// @param attempt failed attempts of the occurrence that is due
    /// @param kind 1 active, 2 at, 3 interval, 4 cron, 5 height, 6 feed.compare, 7 log, 8 view, 9 chain.deposit
    /// @param armed whether an edge condition may fire
    /// @param dueAt next time in Unix ms, or next height; 0 for none
    /// @param backoffUntilMs no attempt before
    /// @param lastFireMs block time of the last call
    /// @param registeredHeight block of registration or last revision
    /// @param missed occurrences dropped
    /// @param edgeCount rising edges consumed; for `active` activations asked for
    /// @param fundingWei prepaid fires
    /// @param depositWei refunded by `cancel`
    /// @param registeredTimeMs time of that block, whole seconds
    /// @param cursor last report, log position or activation consumed
    /// @param description account whose code is a zero byte and the description
    /// @param descHash keccak256 of the description
    struct Row {
        address owner;
        uint32 revision;
        uint32 fires;
        Status status;
        uint8 attempt;
        uint8 kind;
        bool armed;
        uint48 dueAt;
        uint48 backoffUntilMs;
        uint48 lastFireMs;
        uint48 registeredHeight;
        uint32 missed;
        uint32 edgeCount;
        uint128 fundingWei;
        uint80 depositWei;
        uint48 registeredTimeMs;
        uint96 cursor;
        address description;
        bytes32 descHash;
    }

    /// @notice The part of an intent that every kind has.
    /// @param feeWei paid from the owner's balance to whoever brings the intent
    /// @param nonce the owner's next intent nonce, from 0
    /// @param deadline last Unix second in which it counts
    /// @param signature r ‖ s ‖ v over the EIP-712 digest, low s, v 0, 1, 27 or 28
    struct Relay {
        uint256 feeWei;
        uint256 nonce;
        uint64 deadline;
        bytes signature;
    }

    /// @notice A new row. `watchKey`: feed, first log address, view target or foreign chain; zero otherwise.
    event TriggerRegistered(
        bytes32 indexed id, address indexed owner, bytes32 indexed watchKey, uint8 kind, uint48 dueAt, bytes32 descHash, uint256 fundingWei
    );
    /// @notice A row with a new description.
    event TriggerRevised(bytes32 indexed id, bytes32 indexed watchKey, uint32 revision, uint8 kind, uint48 dueAt, bytes32 descHash);
    event TriggerPaused(bytes32 indexed id);
    event TriggerResumed(bytes32 indexed id);
    event TriggerFunded(bytes32 indexed id, address indexed from, uint256 amountWei);
    event TriggerWithdrawn(bytes32 indexed id, uint256 amountWei);
    event TriggerCancelled(bytes32 indexed id, uint256 refundWei);
    event TriggerActivated(bytes32 indexed id, uint32 activations);
    event BalanceChanged(address indexed owner, uint256 balanceWei);

    /// @notice Emitted by the protocol: an occurrence was executed. `returnData` holds at most 256 bytes of what the call returned.
    event TriggerFired(
        bytes32 indexed id,
        bytes32 indexed fireKey,
        bytes32 indexed digest,
        bytes32 occurrence,
        uint32 revision,
        uint8 attempt,
        bool success,
        uint64 scheduledAtMs,
        uint256 gasUsed,
        uint256 costWei,
        bytes returnData
    );
    /// @notice Emitted by the protocol: an edge trigger saw its re-arm condition.
    event TriggerArmed(bytes32 indexed id, bytes32 occurrence, uint256 costWei);
    /// @notice Emitted by the protocol: `count` occurrences were dropped, or with count 0 the row only moved on. `reason` is ASCII text.
    event TriggerMissed(bytes32 indexed id, bytes32 indexed reason, bytes32 occurrence, uint32 count, uint256 costWei);

    error NotOwner();
    error UnknownTrigger();
    error WrongStatus(Status status);
    error DescriptionInvalid(bytes reason);
    error FundingTooLow(uint256 neededWei);
    error InsufficientBalance(uint256 balanceWei, uint256 neededWei);
    error NotActiveMode();
    error IntentExpired();
    error IntentNonce(uint256 expected);
    error IntentSignature();
    error TransferFailed();

    /// @notice Adds a row owned by the caller. The storage deposit is taken from the value sent and the caller's balance; the rest of the
    /// value becomes the row's funding, which must reach the description's reserve.
    function register(bytes calldata description) external payable returns (bytes32 id);
    /// @notice Replaces the description; a smaller deposit is refunded to the balance, a larger one is taken from value and balance.
    function revise(bytes32 id, bytes calldata description) external payable;
    function pause(bytes32 id) external;
    function resume(bytes32 id) external;
    /// @notice Anyone may fund any live row.
    function fund(bytes32 id) external payable;
    /// @notice Moves funding back to the owner's balance.
    function withdraw(bytes32 id, uint256 amountWei) external;
    /// @notice Ends a row; funding and deposit go to the owner's balance.
    function cancel(bytes32 id) external;
    /// @notice Asks for one fire of an `active` row.
    function activate(bytes32 id) external;
    /// @notice Adds to the caller's balance, from which intents are paid.
    function deposit() external payable;
    function withdrawBalance(uint256 amountWei) external;

    /// @notice `register` by an intent; `fundWei` comes from the owner's balance.
    function registerFor(address owner, bytes calldata description, uint256 fundWei, Relay calldata relay) external returns (bytes32 id);
    function reviseFor(address owner, bytes32 id, bytes calldata description, Relay calldata relay) external;
    function pauseFor(address owner, bytes32 id, Relay calldata relay) external;
    function resumeFor(address owner, bytes32 id, Relay calldata relay) external;
    function fundFor(address owner, bytes32 id, uint256 amountWei, Relay calldata relay) external;
    function withdrawFor(address owner, bytes32 id, uint256 amountWei, Relay calldata relay) external;
    function cancelFor(address owner, bytes32 id, Relay calldata relay) external;

    function genesisHash() external view returns (bytes32);
    function count() external view returns (uint256);
    /// @notice Id of the `index`-th row, in order of registration.
    function idAt(uint256 index) external view returns (bytes32);
    function row(bytes32 id) external view returns (Row memory);
    function descriptionOf(bytes32 id) external view returns (bytes memory);
    /// @notice When a foreign payment's occurrence was consumed, Unix ms; 0 for never. `fireKey` = keccak256(id ‖ revision ‖ occurrence).
    function firedAt(bytes32 fireKey) external view returns (uint256);
    function balanceOf(address owner) external view returns (uint256);
    function intentNonce(address owner) external view returns (uint256);
    function registrations(address owner) external view returns (uint256);
    /// @notice Domain separator of intents.
    function domainSeparator() external view returns (bytes32);
    /// @notice Sender of every call that this owner's triggers make. It has no key, and stays the same over revisions.
    function stableCaller(address owner) external pure returns (address);
}
