// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IKeyManager} from "./IKeyManager.sol";
import {Dcrm} from "./Dcrm.sol";

/// @title Key manager
/// @dev Predeploy without a constructor: genesis writes slot 0 and the balance that pays custody. Anything that needs cryptography or a fair
/// draw asks the precompile, whose rules are those the parties run (shared/dcrm).
contract KeyManager is IKeyManager {
    uint256 public constant MIN_BOND_WEI = 10 ether;
    uint256 private constant CUSTODY_REWARD_WEI = 0.01 ether;
    uint256 private constant MIN_FEE_WEI = 0.001 ether;
    uint256 private constant DELAY_BLOCKS = 4;
    uint256 private constant ATTEMPT_BLOCKS = 20;
    uint256 private constant ATTEMPTS_MAX = 12;
    uint256 private constant HEARTBEAT_BLOCKS = 200;
    /// @dev A draw that nobody asked for in time moves on by this much, while block hashes still reach back.
    uint256 private constant REDRAW_BLOCKS = 200;
    uint256 private constant SIZE_MAX = 32;
    uint256 private constant PARTIES_MAX = 128;
    uint256 private constant OPEN_MAX = 64;
    uint256 private constant PENDING_MAX = 256;
    uint256 private constant URL_BYTES_MAX = 128;
    uint32 private constant ABSENCES_MAX = 3;
    uint8 private constant PURPOSE_HEARTBEAT = 2;
    uint8 private constant PURPOSE_GENERIC = 3;

    /// @dev Slot 0.
    bytes32 public genesisHash;
    /// @dev Slot 1: height up to which blocks go on because something waits; read by every node.
    uint256 public activeUntil;

    uint16 private partyCount;
    uint64 private requestCount;
    mapping(uint16 id => Party) private partyRows;
    mapping(address account => uint16 id) public partyOf;
    mapping(address account => uint256 amountWei) public creditOf;
    uint256 private owedWei;

    bytes32[] private keyIds;
    mapping(bytes32 id => Key) private keyRows;
    mapping(bytes32 key => uint32[]) private disputes;
    mapping(bytes32 key => bytes32 operation) private operationOfKey;

    bytes32[] private openIds;
    mapping(bytes32 id => Operation) private operationRows;
    bytes32[] private pendingIds;
    mapping(bytes32 id => SignRequest) private signatureRows;

    /// @dev Who reported whom absent: session, attempt, accused => bits of reporting members.
    mapping(bytes32 subject => uint256 reporters) private reports;
    mapping(bytes32 evidence => bool) private seenEvidence;

    // --- parties ---

    function registerParty(bytes32 signKey, bytes32 sealKey, string calldata relayUrl) external payable returns (uint16 id) {
        if (partyOf[msg.sender] != 0) revert AlreadyRegistered();
        if (msg.value < MIN_BOND_WEI) revert BondTooSmall();
        if (bytes(relayUrl).length > URL_BYTES_MAX) revert TextTooLong();
        if (partyCount == PARTIES_MAX) revert TooManyOpen();
        id = ++partyCount;
        partyOf[msg.sender] = id;
        Party storage party = partyRows[id];
        party.id = id;
        party.account = msg.sender;
        party.signKey = signKey;
        party.sealKey = sealKey;
        party.bondWei = uint128(msg.value);
        party.relayUrl = relayUrl;
        owedWei += msg.value;
        emit PartyRegistered(id, msg.sender, signKey, sealKey, relayUrl);
    }

    /// @dev A restored copy of an old volume has a generation that is not newer, and is refused.
    function renewLease(bytes32 instanceId, uint64 generation, string calldata relayUrl) external {
        Party storage party = _party();
        if (generation <= party.generation) revert LeaseNotNewer();
        if (bytes(relayUrl).length > URL_BYTES_MAX) revert TextTooLong();
        party.instanceId = instanceId;
        party.generation = generation;
        party.absences = 0;
        party.relayUrl = relayUrl;
        emit LeaseRenewed(party.id, instanceId, generation);
    }

    /// @dev Bonds stay while the party holds a share; an excluded party gets back what was not taken once its keys moved on.
    function unregisterParty() external {
        Party storage party = _party();
        if (party.seats != 0) revert StillSeated();
        uint256 bond = party.bondWei;
        if (bond == 0) revert NothingToDo();
        party.bondWei = 0;
        if (party.excludedAt == 0) party.excludedAt = uint64(block.number);
        owedWei -= bond;
        _credit(msg.sender, bond);
        emit PartyExcluded(party.id, "UNREGISTERED", 0);
    }

    function parties(uint16 afterId, uint16 count) external view returns (Party[] memory page) {
        uint256 last = partyCount;
        uint256 length = afterId >= last ? 0 : last - afterId;
        if (length > count) length = count;
        page = new Party[](length);
        for (uint16 index = 0; index < length; index++) page[index] = partyRows[afterId + 1 + index];
    }

    function _party() private view returns (Party storage party) {
        uint16 id = partyOf[msg.sender];
        if (id == 0) revert NotAParty();
        return partyRows[id];
    }

    function _mayServe(uint16 id) private view returns (bool) {
        Party storage party = partyRows[id];
        return party.excludedAt == 0 && party.absences < ABSENCES_MAX;
    }

    // --- keys and what is done with them ---

    function requestKey(Scheme scheme, uint8 threshold, uint8 size) external payable returns (bytes32 id) {
        if (threshold < 2 || size < threshold || size > SIZE_MAX) revert SizeInvalid();
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
        if (threshold < 2 || size < threshold || size > SIZE_MAX) revert SizeInvalid();
        return _open(_newId("reshare"), id, OperationKind.RESHARE, threshold, size, 0);
    }

    function requestRecovery(bytes32 id, uint16 lost) external payable returns (bytes32) {
        Key storage key = _owned(id);
        if (_indexOf(key.members, lost) == type(uint256).max) revert NotAMember();
        return _open(_newId("recover"), id, OperationKind.RECOVER, key.threshold, uint8(key.members.length), lost);
    }

    function _owned(bytes32 id) private view returns (Key storage key) {
        key = keyRows[id];
        if (key.state != KeyState.ACTIVE) revert UnknownKey();
        if (key.owner != msg.sender) revert NotTheOwner();
    }

    function _newId(string memory kind) private returns (bytes32) {
        return keccak256(abi.encode("fusion.key-manager", kind, genesisHash, msg.sender, requestCount++));
    }

    function _open(bytes32 id, bytes32 key, OperationKind kind, uint8 threshold, uint8 size, uint16 lost) private returns (bytes32) {
        if (msg.value < MIN_FEE_WEI * size) revert FeeTooSmall();
        owedWei += msg.value;
        _order(id, key, kind, threshold, size, lost, uint128(msg.value));
        return id;
    }

    function _order(bytes32 id, bytes32 key, OperationKind kind, uint8 threshold, uint8 size, uint16 lost, uint128 feeWei) private {
        if (openIds.length == OPEN_MAX || operationOfKey[key] != 0) revert TooManyOpen();
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

    /// @dev The block whose randomness decides the next seating. Fixed by the chain, never by who asks.
    function seatHeight(bytes32 id) public view returns (uint256 height) {
        Operation storage row = operationRows[id];
        height = row.state == OperationState.REQUESTED ? row.requestedAt + DELAY_BLOCKS : row.seatedAt + ATTEMPT_BLOCKS;
        while (height + 256 < block.number) height += REDRAW_BLOCKS;
    }

    function seat(bytes32 id, bytes calldata header) external {
        Operation storage row = operationRows[id];
        if (row.state != OperationState.REQUESTED && row.state != OperationState.SEATED) revert UnknownOperation();
        bytes32 randomness = _randomness(header, seatHeight(id));
        if (row.state == OperationState.SEATED) {
            if (row.attempt + 1 == ATTEMPTS_MAX) return _end(row, OperationState.FAILED);
            row.attempt++;
        }
        row.state = OperationState.SEATED;
        row.seatedAt = uint64(block.number);
        row.randomness = randomness;
        row.confirmations = 0;
        row.digest = 0;
        delete row.publicKey;
        _chooseMembers(row);
        _keepAwake();
        emit OperationSeated(id, row.key, row.attempt, row.members, row.dealers);
    }

    function _chooseMembers(Operation storage row) private {
        Key storage key = keyRows[row.key];
        if (row.kind == OperationKind.CREATE || row.kind == OperationKind.RESHARE) {
            uint16[] memory ids = Dcrm.committee(Dcrm.Draw(row.randomness, row.id, row.attempt), row.size, _candidates(row));
            if (ids.length == 0) revert TooFewCandidates();
            row.members = ids;
        } else {
            row.members = key.members;
        }
        if (row.kind == OperationKind.RESHARE || row.kind == OperationKind.RECOVER) {
            row.dealers = _draw(key, Dcrm.Draw(row.randomness, row.id, row.attempt), _unable(key, row.excluded, row.lost));
        }
    }

    /// @dev Registered parties that may serve, ids and accounts packed for the precompile.
    function _candidates(Operation storage row) private view returns (bytes memory packed) {
        uint256 left = row.size;
        uint256 spare = 0;
        for (uint16 id = 1; id <= partyCount; id++) if (_mayServe(id)) spare++;
        // Those that failed an earlier attempt come back only when nobody else is left.
        bool leaveOut = spare >= left + row.excluded.length;
        for (uint16 id = 1; id <= partyCount; id++) {
            if (!_mayServe(id)) continue;
            if (leaveOut && _indexOf(row.excluded, id) != type(uint256).max) continue;
            packed = abi.encodePacked(packed, id, partyRows[id].account);
        }
    }

    /// @dev Members that cannot be asked to sign or deal.
    function _unable(Key storage key, uint16[] memory excluded, uint16 lost) private view returns (uint16[] memory out) {
        uint16[] memory found = new uint16[](key.members.length);
        uint256 count = 0;
        for (uint256 index = 0; index < key.members.length; index++) {
            uint16 id = key.members[index];
            bool isOut = id == lost || !_mayServe(id);
            for (uint256 other = 0; other < excluded.length; other++) isOut = isOut || excluded[other] == id;
            if (isOut) found[count++] = id;
        }
        // When nobody would be left, absence alone keeps no one out.
        if (key.members.length - count < key.threshold) count = 0;
        out = new uint16[](count);
        for (uint256 index = 0; index < count; index++) out[index] = found[index];
        if (count == 0 && lost != 0) {
            out = new uint16[](1);
            out[0] = lost;
        }
    }

    function confirm(bytes32 id, uint16 attempt, bytes32 digest, bytes calldata publicKey) external {
        Operation storage row = operationRows[id];
        if (row.state != OperationState.SEATED) revert UnknownOperation();
        if (row.attempt != attempt) revert AttemptWrong();
        Party storage party = _party();
        uint256 index = _indexOf(row.members, party.id);
        if (index == type(uint256).max) revert NotAMember();
        Key storage key = keyRows[row.key];
        bool isNew = row.confirmations == 0;
        if (row.kind != OperationKind.CREATE && keccak256(publicKey) != keccak256(key.publicKey)) return _freeze(row);
        if (row.kind == OperationKind.RECOVER) {
            if (party.id != row.lost || digest != key.digest) revert NotAMember();
        } else if (isNew) {
            row.digest = digest;
            row.publicKey = publicKey;
        } else if (row.digest != digest || keccak256(row.publicKey) != keccak256(publicKey)) {
            return _freeze(row);
        }
        row.confirmations |= uint32(1 << index);
        party.absences = 0;
        emit OperationConfirmed(id, party.id, digest);
        if (row.kind == OperationKind.RECOVER || row.confirmations == uint32((1 << row.members.length) - 1)) _commit(row, key);
    }

    /// @dev Two members saw two keys: nobody may use either.
    function _freeze(Operation storage row) private {
        if (row.kind == OperationKind.CREATE) keyRows[row.key].state = KeyState.FROZEN;
        _end(row, OperationState.FROZEN);
    }

    function _commit(Operation storage row, Key storage key) private {
        if (row.kind != OperationKind.RECOVER) {
            for (uint256 index = 0; index < key.members.length; index++) partyRows[key.members[index]].seats--;
            for (uint256 index = 0; index < row.members.length; index++) partyRows[row.members[index]].seats++;
            if (key.state == KeyState.ACTIVE) key.epoch++;
            key.members = row.members;
            key.threshold = row.threshold;
            key.publicKey = row.publicKey;
            key.digest = row.digest;
            if (key.activeAt == 0) key.activeAt = uint64(block.number);
            key.state = KeyState.ACTIVE;
            delete disputes[row.key];
            emit KeyActive(row.key, key.epoch, key.publicKey, key.members, key.threshold);
        }
        _payOut(row.feeWei, row.members);
        row.feeWei = 0;
        _end(row, OperationState.DONE);
    }

    function _end(Operation storage row, OperationState state) private {
        row.state = state;
        Key storage key = keyRows[row.key];
        if (state == OperationState.FAILED && row.kind == OperationKind.CREATE) key.state = KeyState.FAILED;
        if (row.feeWei > 0) {
            owedWei -= row.feeWei;
            _credit(key.owner, row.feeWei);
            row.feeWei = 0;
        }
        delete operationOfKey[row.key];
        _remove(openIds, row.id);
        emit OperationEnded(row.id, row.key, state);
    }

    function openOperations() external view returns (Operation[] memory rows) {
        rows = new Operation[](openIds.length);
        for (uint256 index = 0; index < rows.length; index++) rows[index] = operationRows[openIds[index]];
    }

    function operation(bytes32 id) external view returns (Operation memory) {
        return operationRows[id];
    }

    function keyOf(bytes32 id) external view returns (Key memory) {
        return keyRows[id];
    }

    function keys(uint256 start, uint256 count) external view returns (Key[] memory page) {
        uint256 length = start >= keyIds.length ? 0 : keyIds.length - start;
        if (length > count) length = count;
        page = new Key[](length);
        for (uint256 index = 0; index < length; index++) page[index] = keyRows[keyIds[start + index]];
    }

    // --- signatures ---

    function requestSignature(bytes32 id, bytes32 subject, bytes32 message) external payable returns (bytes32 request) {
        Key storage key = keyRows[id];
        if (key.state != KeyState.ACTIVE) revert UnknownKey();
        if (key.owner != msg.sender) revert NotTheOwner();
        if (msg.value < MIN_FEE_WEI * key.threshold) revert FeeTooSmall();
        if (pendingIds.length == PENDING_MAX) revert TooManyOpen();
        request = _newId("signature");
        SignRequest storage row = signatureRows[request];
        row.id = request;
        row.key = id;
        row.state = SignatureState.PENDING;
        row.requestedAt = uint64(block.number);
        row.subject = subject;
        row.message = message;
        row.digest = Dcrm.genericDigest(genesisHash, request, message);
        row.feeWei = uint128(msg.value);
        owedWei += msg.value;
        pendingIds.push(request);
        _keepAwake();
        emit SignatureRequested(request, id, row.digest);
    }

    function postSignature(bytes32 id, uint16 attempt, bytes calldata signature, bytes calldata header) external {
        SignRequest storage row = signatureRows[id];
        if (row.state != SignatureState.PENDING) revert UnknownRequest();
        Key storage key = keyRows[row.key];
        uint16[] memory signers = _signers(key, id, attempt, row.requestedAt + DELAY_BLOCKS, header);
        if (!Dcrm.verify(uint8(key.scheme), _child(key, PURPOSE_GENERIC, row.subject), row.digest, signature)) revert SignatureWrong();
        row.state = SignatureState.SIGNED;
        row.signature = signature;
        _remove(pendingIds, id);
        _payOut(row.feeWei, signers);
        row.feeWei = 0;
        emit SignaturePosted(id, row.key, signature, signers);
    }

    /// @dev The set that had the duty in this attempt; all members when the deciding block is out of reach.
    function _signers(Key storage key, bytes32 session, uint16 attempt, uint256 height, bytes calldata header)
        private
        returns (uint16[] memory signers)
    {
        if (block.number <= height || attempt > (block.number - height) / ATTEMPT_BLOCKS) revert AttemptWrong();
        if (height + 256 < block.number) return key.members;
        signers = _draw(key, Dcrm.Draw(_randomness(header, height), session, attempt), _unable(key, new uint16[](0), 0));
        for (uint256 index = 0; index < signers.length; index++) partyRows[signers[index]].absences = 0;
    }

    /// @dev t members without disputes among them, drawn by the chain.
    function _draw(Key storage key, Dcrm.Draw memory draw, uint16[] memory out) private view returns (uint16[] memory set) {
        set = Dcrm.signingSet(draw, key.threshold, Dcrm.graphOf(key.members, disputes[key.id], out));
        if (set.length == 0) revert NoSigningSet();
    }

    function pendingSignatures() external view returns (SignRequest[] memory rows) {
        rows = new SignRequest[](pendingIds.length);
        for (uint256 index = 0; index < rows.length; index++) rows[index] = signatureRows[pendingIds[index]];
    }

    function signatureOf(bytes32 id) external view returns (SignRequest memory) {
        return signatureRows[id];
    }

    /// @dev Proof of signature: once per epoch, over the randomness of its first block, under the key's own heartbeat domain.
    function postHeartbeat(bytes32 id, uint64 epoch, uint16 attempt, bytes calldata signature, bytes calldata header) external {
        Key storage key = keyRows[id];
        if (key.state != KeyState.ACTIVE) revert UnknownKey();
        uint256 height = epoch * HEARTBEAT_BLOCKS;
        if (epoch <= key.heartbeatEpoch || height < key.activeAt || epoch != block.number / HEARTBEAT_BLOCKS) revert NotReady();
        bytes32 digest = Dcrm.heartbeatDigest(genesisHash, id, epoch, _randomness(header, height));
        uint16[] memory signers = _signers(key, keccak256(abi.encode(id, epoch)), attempt, height, header);
        if (!Dcrm.verify(uint8(key.scheme), _child(key, PURPOSE_HEARTBEAT, 0), digest, signature)) revert SignatureWrong();
        key.heartbeatEpoch = epoch;
        uint256 rewardWei = CUSTODY_REWARD_WEI * signers.length;
        if (address(this).balance >= owedWei + rewardWei) {
            owedWei += rewardWei;
            _payOut(rewardWei, signers);
        }
        emit Heartbeat(id, epoch, signature, signers);
    }

    // --- conduct ---

    function reportDispute(bytes32 id, uint16 accused) external {
        Key storage key = keyRows[id];
        uint16 accuser = _party().id;
        if (_indexOf(key.members, accuser) == type(uint256).max || _indexOf(key.members, accused) == type(uint256).max || accuser == accused) {
            revert NotAMember();
        }
        uint32 pair = (uint32(accuser) << 16) | accused;
        uint32[] storage known = disputes[id];
        for (uint256 index = 0; index < known.length; index++) if (known[index] == pair) revert NothingToDo();
        known.push(pair);
        emit DisputeRecorded(id, accuser, accused);
        _heal(key);
    }

    /// @dev Silence proves nothing; it counts once as many members as the threshold saw it in one attempt.
    function reportAbsence(bytes32 session, uint16 attempt, uint16[] calldata accused) external {
        (Key storage key, uint16[] memory members, uint256 threshold) = _sessionOf(session);
        uint256 index = _indexIn(members, _party().id);
        if (index == type(uint256).max) revert NotAMember();
        if (accused.length > SIZE_MAX) revert SizeInvalid();
        for (uint256 place = 0; place < accused.length; place++) {
            if (_indexIn(members, accused[place]) == type(uint256).max) revert NotAMember();
            if (_report(keccak256(abi.encode(session, attempt, accused[place])), index, threshold)) _recordAbsence(session, attempt, accused[place]);
        }
        if (key.state == KeyState.ACTIVE) _heal(key);
    }

    /// @dev Whether this report is the one that makes the number.
    function _report(bytes32 subject, uint256 reporter, uint256 threshold) private returns (bool) {
        uint256 before = reports[subject];
        uint256 bits = before | (1 << reporter);
        reports[subject] = bits;
        return _count(before) < threshold && _count(bits) >= threshold;
    }

    function _recordAbsence(bytes32 session, uint16 attempt, uint16 accused) private {
        partyRows[accused].absences++;
        Operation storage row = operationRows[session];
        if (row.state == OperationState.SEATED && _indexOf(row.excluded, accused) == type(uint256).max) row.excluded.push(accused);
        emit AbsenceRecorded(session, attempt, accused);
    }

    function _sessionOf(bytes32 session) private view returns (Key storage key, uint16[] memory members, uint256 threshold) {
        Operation storage row = operationRows[session];
        SignRequest storage request = signatureRows[session];
        if (row.state == OperationState.SEATED) {
            key = keyRows[row.key];
            // Dealers that leave have a say too; the smaller of both thresholds suffices.
            return (key, _union(row.members, row.dealers), row.threshold);
        }
        if (request.state != SignatureState.PENDING) revert UnknownRequest();
        key = keyRows[request.key];
        return (key, key.members, key.threshold > 2 ? key.threshold - 1 : 1);
    }

    /// @dev Anyone may bring a proof; the bond pays its bearer a tenth and the node reserve the rest.
    function reportFault(uint16 accused, bytes calldata evidence) external {
        Party storage party = partyRows[accused];
        if (party.id == 0 || seenEvidence[keccak256(evidence)]) revert EvidenceWrong();
        string memory code = Dcrm.judge(accused, party.signKey, evidence);
        if (bytes(code).length == 0) revert EvidenceWrong();
        seenEvidence[keccak256(evidence)] = true;
        emit FaultProven(accused, code, keccak256(evidence));
        uint256 bond = party.bondWei;
        party.bondWei = 0;
        if (party.excludedAt == 0) {
            party.excludedAt = uint64(block.number);
            emit PartyExcluded(accused, code, keccak256(evidence));
        }
        owedWei -= bond;
        _credit(msg.sender, bond / 10);
        (bool ok,) = Dcrm.NODE_RESERVE.call{value: bond - bond / 10}("");
        require(ok);
        for (uint256 index = 0; index < keyIds.length && index < OPEN_MAX; index++) {
            Key storage key = keyRows[keyIds[index]];
            if (key.state == KeyState.ACTIVE && _indexOf(key.members, accused) != type(uint256).max) _heal(key);
        }
    }

    function disputesOf(bytes32 id) external view returns (uint32[] memory) {
        return disputes[id];
    }

    function health(bytes32 id) public view returns (uint256 live, uint256 threshold, uint256 margin) {
        Key storage key = keyRows[id];
        uint256 size = key.members.length;
        uint16[] memory gone = new uint16[](size);
        uint256 count = 0;
        for (uint256 index = 0; index < size; index++) if (!_mayServe(key.members[index])) gone[count++] = key.members[index];
        assembly ("memory-safe") {
            mstore(gone, count)
        }
        live = Dcrm.largestSet(Dcrm.graphOf(key.members, disputes[id], gone));
        threshold = key.threshold;
        margin = size > threshold + 1 ? 1 : 0;
    }

    /// @dev When too few are left that can sign together, the chain itself orders new holders.
    function _heal(Key storage key) private {
        (uint256 live, uint256 threshold, uint256 margin) = health(key.id);
        if (live > threshold + margin || operationOfKey[key.id] != 0 || openIds.length == OPEN_MAX) return;
        if (live == key.members.length) return;
        _order(_newId("heal"), key.id, OperationKind.RESHARE, key.threshold, uint8(key.members.length), 0, 0);
    }

    // --- what contracts may check ---

    function checkSignature(Scheme scheme, bytes calldata publicKey, bytes32 digest, bytes calldata signature) external view returns (bool) {
        return Dcrm.verify(uint8(scheme), publicKey, digest, signature);
    }

    function checkSignatureOf(address signer, bytes32 digest, bytes calldata signature) external view returns (bool) {
        return Dcrm.verify(3, abi.encodePacked(signer), digest, signature);
    }

    function signingKey(bytes32 id, uint8 purpose, bytes32 subject) external view returns (bytes memory) {
        return _child(keyRows[id], purpose, subject);
    }

    function addressOf(bytes32 id, uint8 purpose, bytes32 subject) external view returns (string memory) {
        Key storage key = keyRows[id];
        return Dcrm.addressText(uint8(key.scheme), _child(key, purpose, subject));
    }

    function _child(Key storage key, uint8 purpose, bytes32 subject) private view returns (bytes memory) {
        if (key.state != KeyState.ACTIVE) revert UnknownKey();
        return Dcrm.childKey(uint8(key.scheme), key.id, purpose, subject, key.publicKey);
    }

    // --- money ---

    function withdraw() external {
        uint256 amountWei = creditOf[msg.sender];
        if (amountWei == 0) revert NothingToDo();
        creditOf[msg.sender] = 0;
        owedWei -= amountWei;
        (bool ok,) = msg.sender.call{value: amountWei}("");
        require(ok);
    }

    /// @dev Splits what is owed already; the remainder of the division stays in the pool.
    function _payOut(uint256 amountWei, uint16[] memory to) private {
        if (amountWei == 0) return;
        owedWei -= amountWei;
        for (uint256 index = 0; index < to.length; index++) _credit(partyRows[to[index]].account, amountWei / to.length);
    }

    function _credit(address account, uint256 amountWei) private {
        creditOf[account] += amountWei;
        owedWei += amountWei;
        emit Credited(account, amountWei);
    }

    // --- helpers ---

    /// @dev Randomness of the block at `height`, proven by its header against the block's hash.
    function _randomness(bytes calldata header, uint256 height) private view returns (bytes32 randomness) {
        if (height >= block.number) revert NotReady();
        bytes32 hash;
        uint256 number;
        (hash, number, randomness) = Dcrm.readHeader(header);
        if (number != height || hash == 0 || hash != blockhash(height)) revert HeaderWrong();
    }

    function _keepAwake() private {
        uint256 until = block.number + DELAY_BLOCKS + 2 * ATTEMPT_BLOCKS;
        if (until > activeUntil) activeUntil = until;
    }

    function _indexOf(uint16[] storage list, uint16 id) private view returns (uint256) {
        for (uint256 index = 0; index < list.length; index++) if (list[index] == id) return index;
        return type(uint256).max;
    }

    function _indexIn(uint16[] memory list, uint16 id) private pure returns (uint256) {
        for (uint256 index = 0; index < list.length; index++) if (list[index] == id) return index;
        return type(uint256).max;
    }

    function _union(uint16[] memory left, uint16[] memory right) private pure returns (uint16[] memory all) {
        all = new uint16[](left.length + right.length);
        uint256 count = left.length;
        for (uint256 index = 0; index < left.length; index++) all[index] = left[index];
        for (uint256 index = 0; index < right.length; index++) if (_indexIn(left, right[index]) == type(uint256).max) all[count++] = right[index];
        assembly ("memory-safe") {
            mstore(all, count)
        }
    }

    function _count(uint256 bits) private pure returns (uint256 count) {
        for (; bits != 0; bits &= bits - 1) count++;
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
