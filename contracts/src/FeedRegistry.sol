// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IFeedRegistry} from "./IFeedRegistry.sol";

/// @title Feed registry
/// @dev Predeploy without a constructor: genesis writes slot 0 and the sets it begins with. Reports, rounds and charges are written by
/// the protocol by their layout (shared/oracle/feed-registry.ts); a test runs both against each other.
contract FeedRegistry is IFeedRegistry {
    /// @dev `nextRounds` holds last round + 1 (64 bits), block (48) and rounds in that block (16) per shard.
    struct SetRow {
        address owner;
        uint32 roundMs;
        Kind kind;
        uint128 fundingWei;
        address[] members;
        bytes32[][] shards;
        string name;
        mapping(uint256 shard => uint256) nextRounds;
    }

    struct FeedRow {
        bytes32 sourceSet;
        uint16 shard;
        uint8 decimals;
        uint32 deviationPpm;
        uint32 heartbeatSec;
        uint64 sequence;
        string name;
        mapping(uint256 position => Report) ring;
    }

    uint64 private constant RING_REPORTS = 4096;
    uint256 private constant MEMBERS_MAX = 64;
    uint256 private constant SHARDS_MAX = 64;
    uint256 private constant SHARD_FEEDS_MAX = 64;
    uint256 private constant NAME_BYTES_MAX = 64;

    /// @dev Slot 0.
    bytes32 public genesisHash;
    /// @dev Slot 1.
    bytes32[] private setIds;
    /// @dev Slot 2.
    mapping(bytes32 id => SetRow) private sets;
    /// @dev Slot 3.
    mapping(bytes32 id => FeedRow) private feeds;

    function registerSourceSet(string calldata name, Kind kind, address[] calldata members, uint32 roundMs, FeedSpec[][] calldata shards)
        external
        payable
        returns (bytes32 id)
    {
        if (bytes(name).length == 0 || bytes(name).length > NAME_BYTES_MAX) revert NameInvalid();
        if (roundMs < 200 || roundMs > 60_000) revert RoundLengthInvalid();
        id = sourceSetId(msg.sender, name);
        SetRow storage set = sets[id];
        if (set.kind != Kind.NONE) revert AlreadyRegistered();
        if (kind == Kind.PROVIDER ? shards.length == 0 || shards.length > SHARDS_MAX : kind == Kind.NONE || shards.length != 0) {
            revert ShardsInvalid();
        }
        set.owner = msg.sender;
        set.roundMs = roundMs;
        set.kind = kind;
        set.name = name;
        _addMembers(set, members);
        for (uint256 shard = 0; shard < shards.length; shard++) {
            set.shards.push();
            _addFeeds(id, set.shards[shard], uint16(shard), shards[shard]);
        }
        setIds.push(id);
        emit SourceSetRegistered(id, msg.sender, kind, name);
        if (msg.value > 0) fundSet(id);
    }

    function fundSet(bytes32 id) public payable {
        SetRow storage set = sets[id];
        if (set.kind == Kind.NONE) revert UnknownSourceSet();
        set.fundingWei += uint128(msg.value);
        emit SourceSetFunded(id, msg.sender, msg.value);
    }

    function withdrawSet(bytes32 id, uint256 amountWei) external {
        SetRow storage set = sets[id];
        if (set.owner != msg.sender) revert NotOwner();
        if (set.fundingWei < amountWei) revert InsufficientFunding(set.fundingWei);
        set.fundingWei -= uint128(amountWei);
        emit SourceSetWithdrawn(id, amountWei);
        (bool ok,) = msg.sender.call{value: amountWei}("");
        if (!ok) revert TransferFailed();
    }

    function latest(bytes32 feed) external view returns (Report memory) {
        return feeds[feed].ring[feeds[feed].sequence % RING_REPORTS];
    }

    function reportAt(bytes32 feed, uint64 sequence) external view returns (Report memory) {
        (uint64 oldest, uint64 newest) = bounds(feed);
        if (sequence == 0 || sequence < oldest || sequence > newest) revert UnknownReport();
        return feeds[feed].ring[sequence % RING_REPORTS];
    }

    function bounds(bytes32 feed) public view returns (uint64 oldest, uint64 newest) {
        newest = feeds[feed].sequence;
        oldest = newest > RING_REPORTS ? newest - RING_REPORTS + 1 : newest == 0 ? 0 : 1;
    }

    function sequenceOf(bytes32 feed) external view returns (uint64) {
        return feeds[feed].sequence;
    }

    function feedOf(bytes32 feed) external view returns (Feed memory) {
        FeedRow storage stored = feeds[feed];
        return Feed(
            stored.sourceSet, stored.shard, stored.decimals, stored.deviationPpm, stored.heartbeatSec, stored.sequence, stored.name
        );
    }

    function sourceSetOf(bytes32 id) external view returns (SourceSet memory) {
        SetRow storage set = sets[id];
        return SourceSet(set.kind, set.owner, set.roundMs, set.fundingWei, set.name, set.members, set.shards);
    }

    function nextRound(bytes32 id, uint16 shard) external view returns (uint64) {
        return uint64(sets[id].nextRounds[shard]);
    }

    function count() external view returns (uint256) {
        return setIds.length;
    }

    function setIdAt(uint256 index) external view returns (bytes32) {
        return setIds[index];
    }

    function sourceSetId(address owner, string calldata name) public pure returns (bytes32) {
        return keccak256(abi.encodePacked("fusion.source", owner, name));
    }

    function feedId(bytes32 sourceSet, string calldata name) public pure returns (bytes32) {
        return keccak256(abi.encodePacked("fusion.feed", sourceSet, name));
    }

    /// @dev Positions in this list are the bits of a report's `reporters`; it never changes.
    function _addMembers(SetRow storage set, address[] calldata members) private {
        if (members.length == 0 || members.length > MEMBERS_MAX) revert MembersInvalid();
        address last = address(0);
        for (uint256 index = 0; index < members.length; index++) {
            if (members[index] <= last) revert MembersInvalid();
            last = members[index];
            set.members.push(last);
        }
    }

    function _addFeeds(bytes32 id, bytes32[] storage ids, uint16 shard, FeedSpec[] calldata specs) private {
        if (specs.length == 0 || specs.length > SHARD_FEEDS_MAX) revert ShardsInvalid();
        bytes32 last = 0;
        for (uint256 index = 0; index < specs.length; index++) {
            FeedSpec calldata spec = specs[index];
            if (bytes(spec.name).length == 0 || bytes(spec.name).length > NAME_BYTES_MAX) revert NameInvalid();
            bytes32 feed = feedId(id, spec.name);
            if (feed <= last) revert FeedsUnsorted();
            if (feeds[feed].sourceSet != 0) revert AlreadyRegistered();
            last = feed;
            ids.push(feed);
            FeedRow storage stored = feeds[feed];
            stored.sourceSet = id;
            stored.shard = shard;
            stored.decimals = spec.decimals;
            stored.deviationPpm = spec.deviationPpm;
            stored.heartbeatSec = spec.heartbeatSec;
            stored.name = spec.name;
            emit FeedRegistered(feed, id, shard, spec.name);
        }
    }
}
