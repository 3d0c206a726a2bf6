// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IKeyOrders} from "./IKeyManager.sol";
import {Dcrm} from "./Dcrm.sol";
import {KeyBase} from "./KeyBase.sol";

/// @title Key manager: orders and what committees deliver
/// @dev Predeploy without a constructor: genesis writes slot 0 and the balance that pays custody. Anything that needs cryptography or a fair
/// draw asks the precompile, whose rules are those the parties run (shared/dcrm). Calls it does not know are KeyConduct's.
contract KeyManager is KeyBase, IKeyOrders {
    /// @dev Requests looked at for expiry with each new one.
    uint256 private constant SWEPT = 4;

    /// @dev Anyone may add to what pays custody.
    receive() external payable {}

    fallback() external payable {
        address conduct = Dcrm.KEY_CONDUCT;
        assembly {
            calldatacopy(0, 0, calldatasize())
            let ok := delegatecall(gas(), conduct, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            switch ok
            case 0 { revert(0, returndatasize()) }
            default { return(0, returndatasize()) }
        }
    }

    // --- keys and what is done with them ---

    function requestKey(Scheme scheme, uint8 threshold, uint8 size) external payable returns (bytes32 id) {
        _checkSize(threshold, size);
        id = _newId("key");
        Key storage key = keyRows[id];
        key.id = id;
        key.owner = msg.sender;
        key.scheme = scheme;
        key.state = KeyState.PENDING;
        keyIds.push(id);
        _open(id, id, OperationKind.CREATE, threshold, size, 0);
    }

    function requestRefresh(bytes32 id) external payable returns (bytes32) {
        Key storage key = _owned(id);
        return _open(_newId("refresh"), id, OperationKind.REFRESH, key.threshold, uint8(key.members.length), 0);
    }

    function requestReshare(bytes32 id, uint8 threshold, uint8 size) external payable returns (bytes32) {
        _owned(id);
        _checkSize(threshold, size);
        return _open(_newId("reshare"), id, OperationKind.RESHARE, threshold, size, 0);
    }

    function requestRecovery(bytes32 id, uint16 lost) external payable returns (bytes32) {
        Key storage key = _owned(id);
        if (_indexOf(key.members, lost) == type(uint256).max || partyRows[lost].excludedAt != 0) revert NotAMember();
        return _open(_newId("recover"), id, OperationKind.RECOVER, key.threshold, uint8(key.members.length), lost);
    }

    function _checkSize(uint8 threshold, uint8 size) private view {
        if (threshold < 2 || size < threshold || size > SIZE_MAX) revert SizeInvalid();
        if (_countServing() < size) revert TooFewCandidates();
    }

    function _owned(bytes32 id) private view returns (Key storage key) {
        key = keyRows[id];
        if (key.state != KeyState.ACTIVE) revert UnknownKey();
        if (key.owner != msg.sender) revert NotTheOwner();
    }

    function _open(bytes32 id, bytes32 key, OperationKind kind, uint8 threshold, uint8 size, uint16 lost) private returns (bytes32) {
        if (msg.value < MIN_FEE_WEI * size) revert FeeTooSmall();
        if (openIds.length >= OPEN_MAX || openCounts[msg.sender] == OPEN_EACH) revert TooManyOpen();
        openCounts[msg.sender]++;
        orderedBy[id] = msg.sender;
        owedWei += msg.value;
        _order(id, key, kind, threshold, size, lost, uint128(msg.value));
        return id;
    }

    /// @dev The block whose randomness decides the next seating. Fixed by the chain, never by who asks.
    function seatHeight(bytes32 id) public view returns (uint256 height) {
        Operation storage row = operationRows[id];
        height = row.state == OperationState.REQUESTED ? row.requestedAt + DELAY_BLOCKS : row.seatedAt + ATTEMPT_BLOCKS;
        if (height + HASHES_BLOCKS < block.number) {
            uint256 behind = block.number - HASHES_BLOCKS - height;
            height += (behind + REDRAW_BLOCKS - 1) / REDRAW_BLOCKS * REDRAW_BLOCKS;
        }
    }

    function seat(bytes32 id, bytes calldata header) external {
        Operation storage row = operationRows[id];
        if (row.state != OperationState.REQUESTED && row.state != OperationState.SEATED) revert UnknownOperation();
        bytes32 randomness = _randomness(header, seatHeight(id));
        if (row.state == OperationState.SEATED) {
            if (row.attempt + 1 == ATTEMPTS_MAX) return _end(row, OperationState.FAILED);
            row.attempt++;
            _unseat(row.members);
        }
        row.state = OperationState.SEATED;
        row.seatedAt = uint64(block.number);
        row.randomness = randomness;
        row.confirmations = 0;
        bool isComplete = _chooseMembers(row);
        _hold(row.members);
        // With nobody to do it the operation ends, so that it keeps no place and the fee comes back.
        if (!isComplete) return _end(row, OperationState.FAILED);
        _keepAwake();
        emit OperationSeated(id, row.key, row.attempt, row.members, row.dealers);
    }

    function _chooseMembers(Operation storage row) private returns (bool) {
        Key storage key = keyRows[row.key];
        Dcrm.Draw memory draw = Dcrm.Draw(row.randomness, row.id, row.attempt);
        if (row.kind == OperationKind.CREATE || row.kind == OperationKind.RESHARE) {
            row.members = Dcrm.committee(draw, row.size, _candidates(row));
        } else {
            row.members = key.members;
        }
        if (row.kind == OperationKind.REFRESH) return _isComplete(row.members);
        if (row.kind == OperationKind.CREATE) return row.members.length != 0;
        row.dealers = Dcrm.signingSet(
            draw, key.threshold, Dcrm.graphOf(key.members, disputes[key.id], _unable(key, row.excluded, row.lost))
        );
        return row.members.length != 0 && row.dealers.length != 0;
    }

    /// @dev A refresh needs every member, so it cannot begin without one.
    function _isComplete(uint16[] storage members) private view returns (bool) {
        uint256 size = members.length;
        for (uint256 index = 0; index < size; index++) if (partyRows[members[index]].excludedAt != 0) return false;
        return true;
    }

    /// @dev Parties that may serve, ids and accounts packed for the precompile.
    function _candidates(Operation storage row) private view returns (bytes memory) {
        uint256 length = serving.length;
        uint16[] memory able = new uint16[](length);
        uint256 count = 0;
        for (uint256 index = 0; index < length; index++) {
            uint16 id = serving[index];
            if (partyRows[id].absences < ABSENCES_MAX) able[count++] = id;
        }
        // Those that failed an earlier attempt come back only when nobody else is left.
        uint16[] memory excluded = row.excluded;
        if (count >= row.size + excluded.length) {
            uint256 kept = 0;
            for (uint256 index = 0; index < count; index++) {
                if (_indexIn(excluded, able[index]) == type(uint256).max) able[kept++] = able[index];
            }
            count = kept;
        }
        bytes memory packed = Dcrm.candidateRoom(count);
        for (uint256 index = 0; index < count; index++) Dcrm.putCandidate(packed, index, able[index], partyRows[able[index]].account);
        return packed;
    }

    /// @dev Members that cannot be asked to sign or deal.
    function _unable(Key storage key, uint16[] memory excluded, uint16 lost) private view returns (uint16[] memory out) {
        uint256 size = key.members.length;
        out = new uint16[](size);
        uint256 count = 0;
        for (uint256 index = 0; index < size; index++) {
            uint16 id = key.members[index];
            if (id == lost || !_mayServe(id) || _indexIn(excluded, id) != type(uint256).max) out[count++] = id;
        }
        // When too few would be left, absence keeps no one out.
        if (size - count < key.threshold) {
            count = lost == 0 ? 0 : 1;
            out[0] = lost;
        }
        _shorten(out, count);
    }

    function confirm(bytes32 id, uint16 attempt, bytes32 digest, bytes calldata publicKey) external {
        Operation storage row = operationRows[id];
        if (row.state != OperationState.SEATED) revert UnknownOperation();
        if (row.attempt != attempt) revert AttemptWrong();
        Party storage party = _party();
        uint256 index = _indexOf(row.members, party.id);
        if (index == type(uint256).max || party.excludedAt != 0) revert NotAMember();
        Key storage key = keyRows[row.key];
        if (publicKey.length != (key.scheme == Scheme.ED25519 ? 32 : 33)) revert KeyInvalid();
        if (row.kind == OperationKind.RECOVER && (party.id != row.lost || digest != key.digest)) revert NotAMember();
        if (row.kind != OperationKind.CREATE && keccak256(publicKey) != keccak256(key.publicKey)) return _end(row, OperationState.FROZEN);
        if (row.confirmations == 0) {
            row.digest = digest;
            row.publicKey = publicKey;
        } else if (row.digest != digest || keccak256(row.publicKey) != keccak256(publicKey)) {
            return _end(row, OperationState.FROZEN);
        }
        row.confirmations |= uint32(1 << index);
        _comeBack(party);
        emit OperationConfirmed(id, party.id, digest);
        if (row.kind == OperationKind.RECOVER || row.confirmations == (1 << row.members.length) - 1) _commit(row, key);
    }

    function _commit(Operation storage row, Key storage key) private {
        if (row.kind != OperationKind.RECOVER) {
            _unseat(key.members);
            _hold(row.members);
            if (key.state == KeyState.ACTIVE) key.epoch++;
            else key.activeAt = uint64(block.number);
            key.members = row.members;
            key.threshold = row.threshold;
            key.publicKey = row.publicKey;
            key.digest = row.digest;
            key.state = KeyState.ACTIVE;
            delete disputes[row.key];
            delete disputedAt[row.key];
            heldSince[row.key] = block.number;
            emit KeyActive(row.key, key.epoch, key.publicKey, key.members, key.threshold);
        }
        _payOut(row.feeWei, row.members);
        row.feeWei = 0;
        _end(row, OperationState.DONE);
    }

    /// @dev FROZEN: two members saw two keys, and nobody may use either. A key that has been in use stays as it was.
    function _end(Operation storage row, OperationState state) private {
        row.state = state;
        Key storage key = keyRows[row.key];
        if (key.state == KeyState.PENDING) key.state = state == OperationState.FROZEN ? KeyState.FROZEN : KeyState.FAILED;
        if (row.feeWei > 0) {
            owedWei -= row.feeWei;
            _credit(key.owner, row.feeWei);
            row.feeWei = 0;
        }
        _unseat(row.members);
        delete operationOfKey[row.key];
        address owner = orderedBy[row.id];
        if (owner != address(0)) openCounts[owner]--;
        _remove(openIds, row.id);
        _rest();
        emit OperationEnded(row.id, row.key, state);
    }

    /// @dev A seat, in a key or in an open operation, keeps a party's bond.
    function _hold(uint16[] storage members) private {
        uint256 size = members.length;
        for (uint256 index = 0; index < size; index++) partyRows[members[index]].seats++;
    }

    function _unseat(uint16[] storage members) private {
        uint256 size = members.length;
        for (uint256 index = 0; index < size; index++) {
            uint16 id = members[index];
            if (--partyRows[id].seats == 0) unseatedAt[id] = block.number;
        }
    }

    // --- signatures ---

    function requestSignature(bytes32 id, bytes32 subject, bytes32 message) external payable returns (bytes32 request) {
        Key storage key = _owned(id);
        if (msg.value < MIN_FEE_WEI * key.threshold) revert FeeTooSmall();
        for (uint256 index = 0; index < SWEPT && index < pendingIds.length; index++) {
            SignRequest storage old = signatureRows[pendingIds[index]];
            if (_isExpired(old)) _expire(old);
        }
        if (pendingIds.length == PENDING_MAX || pendingCounts[msg.sender] == PENDING_EACH) revert TooManyOpen();
        pendingCounts[msg.sender]++;
        request = _newId("signature");
        SignRequest storage row = signatureRows[request];
        row.id = request;
        row.key = id;
        row.state = SignatureState.PENDING;
        row.requestedAt = uint64(block.number);
        row.subject = subject;
        row.message = message;
        row.digest = Dcrm.genericDigest(identity, request, message);
        row.feeWei = uint128(msg.value);
        owedWei += msg.value;
        pendingIds.push(request);
        _keepAwake();
        emit SignatureRequested(request, id, row.digest);
    }

    function _isExpired(SignRequest storage row) private view returns (bool) {
        return block.number > row.requestedAt + DELAY_BLOCKS + ATTEMPTS_MAX * ATTEMPT_BLOCKS;
    }

    function expireSignature(bytes32 id) external {
        SignRequest storage row = signatureRows[id];
        if (row.state != SignatureState.PENDING) revert UnknownRequest();
        if (!_isExpired(row)) revert NotReady();
        _expire(row);
        _rest();
    }

    function _expire(SignRequest storage row) private {
        row.state = SignatureState.EXPIRED;
        owedWei -= row.feeWei;
        _credit(keyRows[row.key].owner, row.feeWei);
        row.feeWei = 0;
        _settle(row);
        emit SignatureExpired(row.id, row.key);
    }

    function postSignature(bytes32 id, uint16 attempt, bytes calldata signature, bytes calldata header) external {
        SignRequest storage row = signatureRows[id];
        if (row.state != SignatureState.PENDING) revert UnknownRequest();
        Key storage key = keyRows[row.key];
        uint16[] memory signers = _signers(key, _begun(id, attempt, row.requestedAt + DELAY_BLOCKS), _excludedIn(row, attempt), header);
        if (!Dcrm.verify(uint8(key.scheme), _child(key, PURPOSE_GENERIC, row.subject), row.digest, signature)) revert SignatureWrong();
        row.state = SignatureState.SIGNED;
        row.signature = signature;
        _settle(row);
        _payOut(row.feeWei, signers);
        row.feeWei = 0;
        _rest();
        emit SignaturePosted(id, row.key, signature, signers);
    }

    /// @dev Proof of signature: once per epoch, over the randomness of its first block, under the key's own heartbeat domain.
    function postHeartbeat(bytes32 id, uint64 epoch, uint16 attempt, bytes calldata signature, bytes calldata header) external {
        Key storage key = keyRows[id];
        (bytes32 session, uint256 height) = _beat(key, epoch);
        bytes32 digest = Dcrm.heartbeatDigest(identity, id, epoch, _randomness(header, height));
        uint16[] memory signers = _signers(key, _begun(session, attempt, height), new uint16[](0), header);
        if (!Dcrm.verify(uint8(key.scheme), _child(key, PURPOSE_HEARTBEAT, 0), digest, signature)) revert SignatureWrong();
        key.heartbeatEpoch = epoch;
        uint256 rewardWei = CUSTODY_REWARD_WEI * signers.length;
        if (address(this).balance >= owedWei + rewardWei) {
            owedWei += rewardWei;
            _payOut(rewardWei, signers);
        }
        emit Heartbeat(id, epoch, signature, signers);
        _heal(key);
    }

    /// @dev Who is paid: the set of the attempt; all members when there is none, or its deciding block is out of reach.
    function _signers(Key storage key, Attempt memory attempt, uint16[] memory excluded, bytes calldata header)
        private
        returns (uint16[] memory signers)
    {
        if (attempt.opening + HASHES_BLOCKS < block.number) return key.members;
        signers = _drawn(key, attempt, excluded, header);
        if (signers.length == 0) return key.members;
        for (uint256 index = 0; index < signers.length; index++) _comeBack(partyRows[signers[index]]);
    }

    // --- helpers ---

    /// @dev A request that waits no more.
    function _settle(SignRequest storage row) private {
        pendingCounts[keyRows[row.key].owner]--;
        _remove(pendingIds, row.id);
    }

    function _remove(bytes32[] storage list, bytes32 id) private {
        for (uint256 index = 0; index < list.length; index++) {
            if (list[index] != id) continue;
            list[index] = list[list.length - 1];
            list.pop();
            return;
        }
    }
}
