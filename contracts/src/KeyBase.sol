// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IKeyTypes} from "./IKeyManager.sol";
import {Dcrm} from "./Dcrm.sol";

/// @title State of the key manager, and rules both halves of its code need
/// @dev Code above the size limit would not fit one contract: orders are KeyManager's, conduct and views KeyConduct's, run on this same state.
abstract contract KeyBase is IKeyTypes {
    uint256 internal constant BOND_WEI = 10 ether;
    uint256 internal constant CUSTODY_REWARD_WEI = 0.01 ether;
    uint256 internal constant MIN_FEE_WEI = 0.001 ether;
    uint256 internal constant DELAY_BLOCKS = 4;
    uint256 internal constant ATTEMPT_BLOCKS = 20;
    uint256 internal constant ATTEMPTS_MAX = 12;
    /// @dev A draw that nobody asked for in time moves on by this much, while block hashes still reach back.
    uint256 internal constant REDRAW_BLOCKS = 200;
    uint256 internal constant HASHES_BLOCKS = 256;
    /// @dev For pairs and stock that follow what was ordered.
    uint256 internal constant AFTERCARE_BLOCKS = 40;
    /// @dev Proofs of what a party did still find its bond.
    uint256 internal constant UNBOND_BLOCKS = 1200;
    uint256 internal constant SIZE_MAX = 32;
    uint256 internal constant PARTIES_MAX = 128;
    uint256 internal constant OPEN_MAX = 64;
    uint256 internal constant PENDING_MAX = 256;
    /// @dev One owner gets an eighth, so that nobody keeps everybody out.
    uint256 internal constant OPEN_EACH = 8;
    uint256 internal constant PENDING_EACH = 32;
    uint256 internal constant URL_BYTES_MAX = 128;
    uint32 internal constant ABSENCES_MAX = 3;
    uint8 internal constant PURPOSE_HEARTBEAT = 2;
    uint8 internal constant PURPOSE_GENERIC = 3;

    /// @dev Slot 0: the network's genesis hash, written by genesis.
    bytes32 internal identity;
    /// @dev Slot 1: height up to which blocks go on because something waits; read by every node.
    uint256 internal awakeUntil;
    /// @dev Slot 2: blocks between two proofs of signature of a key, written by genesis.
    uint256 internal beatBlocks;
    /// @dev Slot 3: who may run a party; genesis writes the validators.
    mapping(address account => Standing) internal standings;
    /// @dev Slot 4: how many of them are validators, written by genesis.
    uint256 internal validatorCount;

    uint16 internal partyCount;
    uint64 internal requestCount;
    /// @dev Parties that have neither left nor been excluded.
    uint16[] internal serving;
    mapping(uint16 id => Party) internal partyRows;
    /// @dev Block in which a party left its last seat.
    mapping(uint16 id => uint256 height) internal unseatedAt;
    mapping(address account => uint16 id) internal ids;
    mapping(address account => uint256 amountWei) internal credits;
    /// @dev Bonds, fees and credits; the rest of the balance pays custody.
    uint256 internal owedWei;

    bytes32[] internal keyIds;
    mapping(bytes32 id => Key) internal keyRows;
    mapping(bytes32 key => uint32[]) internal disputes;
    mapping(bytes32 key => bytes32 operation) internal operationOfKey;

    bytes32[] internal openIds;
    mapping(bytes32 id => Operation) internal operationRows;
    bytes32[] internal pendingIds;
    mapping(bytes32 id => SignRequest) internal signatureRows;

    /// @dev Who reported whom absent, as bits by place among those that could tell.
    mapping(bytes32 subject => uint256 reporters) internal reports;
    mapping(bytes32 evidence => bool) internal seenEvidence;

    mapping(address account => uint16) internal words;
    mapping(address account => mapping(address validator => bool)) internal hasVouched;
    /// @dev The signature key before the present one, and the block of the change: what was signed under it still counts.
    mapping(uint16 id => bytes32) internal formerSignKeys;
    mapping(uint16 id => uint256 height) internal renewedAt;

    /// @dev Orders of one owner that are open; those the chain gave itself have no owner.
    mapping(address owner => uint256) internal openCounts;
    mapping(bytes32 operation => address owner) internal orderedBy;
    mapping(address owner => uint256) internal pendingCounts;

    /// @dev When what decides the set of an attempt came about. Blocks that carried the disputes of a key, by place.
    mapping(bytes32 key => uint64[]) internal disputedAt;
    /// @dev Block since which a key has its present holders.
    mapping(bytes32 key => uint256 height) internal heldSince;
    mapping(uint16 id => Away) internal awayRows;
    /// @dev Whether an absence of a party has been counted in a session.
    mapping(bytes32 subject => bool) internal isCounted;

    /// @dev The last time a party was out for its absences: from this block, and to this one when it came back.
    struct Away {
        uint64 since;
        uint64 until;
    }

    /// @dev One attempt of a session that signs; `opening` is the block that opened the session.
    struct Attempt {
        bytes32 session;
        uint16 number;
        uint256 opening;
    }

    // --- parties ---

    function _party() internal view returns (Party storage party) {
        uint16 id = ids[msg.sender];
        if (id == 0) revert NotAParty();
        return partyRows[id];
    }

    function _mayServe(uint16 id) internal view returns (bool) {
        Party storage party = partyRows[id];
        return party.absences < ABSENCES_MAX && party.excludedAt == 0;
    }

    /// @dev The same as of an earlier block.
    function _mightServe(uint16 id, uint256 height) internal view returns (bool) {
        uint64 excludedAt = partyRows[id].excludedAt;
        if (excludedAt != 0 && excludedAt <= height) return false;
        Away storage away = awayRows[id];
        return away.since == 0 || away.since > height || (away.until != 0 && away.until <= height);
    }

    function _missOne(uint16 id) internal {
        if (++partyRows[id].absences == ABSENCES_MAX) awayRows[id] = Away(uint64(block.number), 0);
    }

    function _comeBack(Party storage party) internal {
        if (party.absences >= ABSENCES_MAX) awayRows[party.id].until = uint64(block.number);
        party.absences = 0;
    }

    function _countServing() internal view returns (uint256 count) {
        uint256 length = serving.length;
        for (uint256 index = 0; index < length; index++) if (partyRows[serving[index]].absences < ABSENCES_MAX) count++;
    }

    // --- orders ---

    function _newId(string memory kind) internal returns (bytes32) {
        return keccak256(abi.encode("fusion.key-manager", kind, identity, msg.sender, requestCount++));
    }

    function _order(bytes32 id, bytes32 key, OperationKind kind, uint8 threshold, uint8 size, uint16 lost, uint128 feeWei) internal {
        if (operationOfKey[key] != 0) revert TooManyOpen();
        Operation storage row = operationRows[id];
        row.id = id;
        row.key = key;
        row.kind = kind;
        row.state = OperationState.REQUESTED;
        row.threshold = threshold;
        row.size = size;
        row.lost = lost;
        row.requestedAt = uint64(block.number);
        row.feeWei = feeWei;
        operationOfKey[key] = id;
        openIds.push(id);
        _keepAwake();
        emit OperationRequested(id, key, kind);
    }

    /// @dev When too few are left that can sign together, the chain itself orders new holders, if there are enough to choose from.
    function _heal(Key storage key) internal returns (bool) {
        if (operationOfKey[key.id] != 0) return false;
        (uint256 live, uint256 threshold, uint256 margin) = _health(key);
        uint256 size = key.members.length;
        if (live > threshold + margin || live == size || _countServing() < size) return false;
        _order(_newId("heal"), key.id, OperationKind.RESHARE, key.threshold, uint8(size), 0, 0);
        return true;
    }

    function _health(Key storage key) internal view returns (uint256 live, uint256 threshold, uint256 margin) {
        uint256 size = key.members.length;
        if (size == 0) return (0, 0, 0);
        uint16[] memory gone = new uint16[](size);
        uint256 count = 0;
        for (uint256 index = 0; index < size; index++) if (!_mayServe(key.members[index])) gone[count++] = key.members[index];
        _shorten(gone, count);
        live = Dcrm.largestSet(Dcrm.graphOf(key.members, disputes[key.id], gone));
        threshold = key.threshold;
        margin = size > threshold + 1 ? 1 : 0;
    }

    function _child(Key storage key, uint8 purpose, bytes32 subject) internal view returns (bytes memory) {
        if (key.state != KeyState.ACTIVE) revert UnknownKey();
        return Dcrm.childKey(uint8(key.scheme), key.id, purpose, subject, key.publicKey);
    }

    // --- sessions ---

    /// @dev A proof of signature that is due: its session, and the block that opens it. Once per epoch, in that epoch only.
    function _beat(Key storage key, uint64 epoch) internal view returns (bytes32 session, uint256 height) {
        if (key.state != KeyState.ACTIVE) revert UnknownKey();
        height = epoch * beatBlocks;
        if (epoch <= key.heartbeatEpoch || height < key.activeAt || epoch != block.number / beatBlocks) revert NotReady();
        session = keccak256(abi.encode(key.id, epoch));
    }

    /// @dev An attempt that has begun.
    function _begun(bytes32 session, uint16 number, uint256 opening) internal view returns (Attempt memory) {
        if (block.number <= opening || number > (block.number - opening) / ATTEMPT_BLOCKS) revert AttemptWrong();
        return Attempt(session, number, opening);
    }

    function _excludedIn(SignRequest storage row, uint16 attempt) internal view returns (uint16[] memory excluded) {
        excluded = row.excluded;
        uint256 count = 0;
        for (uint256 index = 0; index < excluded.length; index++) if (row.excludedFrom[index] <= attempt) excluded[count++] = excluded[index];
        _shorten(excluded, count);
    }

    /// @dev The set that has the duty in an attempt: it follows from what the chain held when the attempt began and never changes after.
    /// Empty when none was left then, or when the key has got other holders since.
    function _drawn(Key storage key, Attempt memory attempt, uint16[] memory excluded, bytes calldata header)
        internal
        view
        returns (uint16[] memory)
    {
        Dcrm.Draw memory draw = Dcrm.Draw(_randomness(header, attempt.opening), attempt.session, attempt.number);
        uint256 start = attempt.opening + attempt.number * ATTEMPT_BLOCKS;
        if (start < heldSince[key.id]) return new uint16[](0);
        uint16[] memory unable = _unableAt(key, excluded, start);
        return Dcrm.signingSet(draw, key.threshold, Dcrm.graphOf(key.members, _disputesAt(key.id, start), unable));
    }

    function _disputesAt(bytes32 id, uint256 height) private view returns (uint32[] memory pairs) {
        pairs = disputes[id];
        uint64[] storage heights = disputedAt[id];
        uint256 count = pairs.length;
        while (count != 0 && heights[count - 1] > height) count--;
        assembly ("memory-safe") {
            mstore(pairs, count)
        }
    }

    /// @dev Members that were not to be asked; when too few would have been left, absence kept no one out.
    function _unableAt(Key storage key, uint16[] memory excluded, uint256 height) private view returns (uint16[] memory out) {
        uint256 size = key.members.length;
        out = new uint16[](size);
        uint256 count = 0;
        for (uint256 index = 0; index < size; index++) {
            uint16 id = key.members[index];
            if (!_mightServe(id, height) || _indexIn(excluded, id) != type(uint256).max) out[count++] = id;
        }
        _shorten(out, size - count < key.threshold ? 0 : count);
    }

    /// @dev Randomness of the block at `height`, proven by its header against the block's hash.
    function _randomness(bytes calldata header, uint256 height) internal view returns (bytes32 randomness) {
        if (height >= block.number) revert NotReady();
        bytes32 hash;
        uint256 number;
        (hash, number, randomness) = Dcrm.readHeader(header);
        if (number != height || hash == 0 || hash != blockhash(height)) revert HeaderWrong();
    }

    // --- money ---

    /// @dev Splits what is owed already; the remainder of the division stays in the pool.
    function _payOut(uint256 amountWei, uint16[] memory to) internal {
        if (amountWei == 0) return;
        owedWei -= amountWei;
        for (uint256 index = 0; index < to.length; index++) _credit(partyRows[to[index]].account, amountWei / to.length);
    }

    function _credit(address account, uint256 amountWei) internal {
        credits[account] += amountWei;
        owedWei += amountWei;
        emit Credited(account, amountWei);
    }

    // --- helpers ---

    /// @dev Retries count heights, so blocks go on until every attempt of what was ordered could have been made.
    function _keepAwake() internal {
        awakeUntil = block.number + DELAY_BLOCKS + ATTEMPTS_MAX * ATTEMPT_BLOCKS;
    }

    function _rest() internal {
        if (openIds.length == 0 && pendingIds.length == 0) awakeUntil = block.number + AFTERCARE_BLOCKS;
    }

    function _indexOf(uint16[] storage list, uint16 id) internal view returns (uint256) {
        uint256 length = list.length;
        for (uint256 index = 0; index < length; index++) if (list[index] == id) return index;
        return type(uint256).max;
    }

    function _indexIn(uint16[] memory list, uint16 id) internal pure returns (uint256) {
        for (uint256 index = 0; index < list.length; index++) if (list[index] == id) return index;
        return type(uint256).max;
    }

    function _shorten(uint16[] memory list, uint256 count) internal pure {
        assembly ("memory-safe") {
            mstore(list, count)
        }
    }
}
