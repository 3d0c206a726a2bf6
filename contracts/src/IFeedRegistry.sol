// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Source sets, their feeds, and the reports validators agreed on
/// @notice Predeployed at 0x…4602. Anyone may register a source set and fund it; reports are written by the protocol when it executes
/// a signed attestation of at least 2f+1 members. Whitepaper 4.2.2.
interface IFeedRegistry {
    enum Kind {
        NONE,
        PROVIDER,
        REPORTER
    }
    enum ReportStatus {
        OK,
        WIDE,
        HALTED,
        CLOSED
    }

    /// @notice A feed to register.
    /// @param deviationPpm a value is stored when it differs by this many millionths from the last stored one
    /// @param heartbeatSec or when this much time has passed since that one was observed
    struct FeedSpec {
        string name;
        uint8 decimals;
        uint32 deviationPpm;
        uint32 heartbeatSec;
    }

    /// @notice What is known of a feed. `sequence` is the newest report's, 0 for none.
    struct Feed {
        bytes32 sourceSet;
        uint16 shard;
        uint8 decimals;
        uint32 deviationPpm;
        uint32 heartbeatSec;
        uint64 sequence;
        string name;
    }

    /// @notice A stored report: three storage slots. The value held, within the feed's deviation, for every round firstRound..lastRound.
    /// @param value integer in the feed's decimals
    /// @param afterGap whether rounds are missing before firstRound
    /// @param observedAtMs median observation time of firstRound
    /// @param lastObservedAtMs that of lastRound: compare it with block.timestamp * 1000 before using a value
    /// @param reporters bit i is set when member i of the source set took part in firstRound
    struct Report {
        int192 value;
        ReportStatus status;
        bool afterGap;
        uint48 observedAtMs;
        uint64 firstRound;
        uint64 lastRound;
        uint64 sequence;
        uint48 lastObservedAtMs;
        uint256 reporters;
    }

    /// @notice What is known of a source set.
    struct SourceSet {
        Kind kind;
        address owner;
        uint32 roundMs;
        uint256 fundingWei;
        string name;
        address[] members;
        bytes32[][] shards;
    }

    event SourceSetRegistered(bytes32 indexed id, address indexed owner, Kind kind, string name);
    event FeedRegistered(bytes32 indexed id, bytes32 indexed sourceSet, uint16 shard, string name);
    event SourceSetFunded(bytes32 indexed id, address indexed from, uint256 amountWei);
    event SourceSetWithdrawn(bytes32 indexed id, uint256 amountWei);
    /// @notice Emitted by the protocol for every stored report.
    event FeedUpdated(bytes32 indexed feed, uint64 indexed sequence, int256 value, ReportStatus status, uint64 round, uint64 observedAtMs);
    /// @notice Emitted by the protocol for every accepted round, stored or not.
    event RoundAttested(bytes32 indexed sourceSet, uint16 indexed shard, uint64 round, uint256 signatures, uint256 costWei);

    error NameInvalid();
    error RoundLengthInvalid();
    error MembersInvalid();
    error ShardsInvalid();
    error FeedsUnsorted();
    error AlreadyRegistered();
    error UnknownSourceSet();
    error UnknownReport();
    error NotOwner();
    error InsufficientFunding(uint256 fundingWei);
    error TransferFailed();

    /// @notice Registers a set owned by the caller; the value sent is its funding.
    /// @param members 1 to 64, in strictly rising order
    /// @param shards for providers 1 to 64 shards of 1 to 64 feeds, in strictly rising order of feed id within a shard; none for reporters
    function registerSourceSet(string calldata name, Kind kind, address[] calldata members, uint32 roundMs, FeedSpec[][] calldata shards)
        external
        payable
        returns (bytes32 id);
    /// @notice Anyone may fund a set; attestations are charged to this funding and are not accepted without.
    function fundSet(bytes32 id) external payable;
    function withdrawSet(bytes32 id, uint256 amountWei) external;

    /// @notice Newest report; a zero sequence means that there is none.
    function latest(bytes32 feed) external view returns (Report memory);
    /// @notice A report still in the history. Reverts outside `bounds`.
    function reportAt(bytes32 feed, uint64 sequence) external view returns (Report memory);
    /// @notice Sequences the history holds, both inclusive; zeros when there is none.
    function bounds(bytes32 feed) external view returns (uint64 oldest, uint64 newest);
    function sequenceOf(bytes32 feed) external view returns (uint64);
    function feedOf(bytes32 feed) external view returns (Feed memory);
    function sourceSetOf(bytes32 id) external view returns (SourceSet memory);
    /// @notice Last attested round of a shard plus 1; 0 for none.
    function nextRound(bytes32 id, uint16 shard) external view returns (uint64);
    function genesisHash() external view returns (bytes32);
    function count() external view returns (uint256);
    function setIdAt(uint256 index) external view returns (bytes32);
    function sourceSetId(address owner, string calldata name) external pure returns (bytes32);
    function feedId(bytes32 sourceSet, string calldata name) external pure returns (bytes32);
}
