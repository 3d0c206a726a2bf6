// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IKeyConduct} from "./IKeyManager.sol";
import {Dcrm} from "./Dcrm.sol";
import {KeyBase} from "./KeyBase.sol";

/// @title Key manager: parties, conduct, views
/// @dev Runs on KeyManager's state, which passes on every call it does not know. Called at its own address it holds nothing.
contract KeyConduct is KeyBase, IKeyConduct {
    /// @dev Keys looked at, newest first, and ordered anew in the transaction that proves a fault; the rest heals by `heal` and heartbeats.
    uint256 private constant FAULT_LOOKED_AT = 64;
    uint256 private constant FAULT_HEALED = 4;

    function MIN_BOND_WEI() external pure returns (uint256) {
        return BOND_WEI;
    }

    function genesisHash() external view returns (bytes32) {
        return identity;
    }

    function heartbeatBlocks() external view returns (uint256) {
        return beatBlocks;
    }

    function activeUntil() external view returns (uint256) {
        return awakeUntil;
    }

    function partyOf(address account) external view returns (uint16) {
        return ids[account];
    }

    function creditOf(address account) external view returns (uint256) {
        return credits[account];
    }

    // --- parties ---

    /// @dev Who is a stranger and who the same operator again, no contract sees; the validators that finalise blocks say it.
    function vouch(address[] calldata accounts) external {
        if (standings[msg.sender] != Standing.VALIDATOR) revert NotAValidator();
        if (accounts.length > SIZE_MAX) revert SizeInvalid();
        for (uint256 index = 0; index < accounts.length; index++) {
            address account = accounts[index];
            if (standings[account] != Standing.NONE || hasVouched[account][msg.sender]) continue;
            hasVouched[account][msg.sender] = true;
            uint16 count = ++words[account];
            if (uint256(count) * 3 > validatorCount * 2) standings[account] = Standing.ADMITTED;
            emit OperatorVouched(account, msg.sender, count);
        }
    }

    function standingOf(address account) external view returns (Standing, uint16) {
        return (standings[account], words[account]);
    }

    function registerParty(bytes32 signKey, bytes32 sealKey, string calldata relayUrl) external payable returns (uint16 id) {
        if (address(this) != Dcrm.KEY_MANAGER) revert WrongAddress();
        if (ids[msg.sender] != 0) revert AlreadyRegistered();
        if (standings[msg.sender] == Standing.NONE) revert NotAdmitted();
        if (msg.value < BOND_WEI) revert BondTooSmall();
        if (signKey == 0 || sealKey == 0) revert KeyInvalid();
        if (bytes(relayUrl).length > URL_BYTES_MAX) revert TextTooLong();
        if (serving.length == PARTIES_MAX) revert TooManyOpen();
        id = ++partyCount;
        ids[msg.sender] = id;
        Party storage party = partyRows[id];
        party.id = id;
        party.account = msg.sender;
        party.signKey = signKey;
        party.sealKey = sealKey;
        party.bondWei = uint128(msg.value);
        party.relayUrl = relayUrl;
        serving.push(id);
        owedWei += msg.value;
        emit PartyRegistered(id, msg.sender, signKey, sealKey, relayUrl);
    }

    /// @dev Once per delay, so that nothing signed under a key is out of a proof's reach before the bond would be.
    function renewKeys(bytes32 signKey, bytes32 sealKey) external {
        Party storage party = _party();
        if (party.excludedAt != 0) revert NotAMember();
        if (signKey == 0 || sealKey == 0 || signKey == party.signKey) revert KeyInvalid();
        uint256 before = renewedAt[party.id];
        if (before != 0 && block.number < before + UNBOND_BLOCKS) revert NotReady();
        renewedAt[party.id] = block.number;
        formerSignKeys[party.id] = party.signKey;
        party.signKey = signKey;
        party.sealKey = sealKey;
        party.instanceId = 0;
        party.generation = 0;
        emit KeysRenewed(party.id, signKey, sealKey);
    }

    /// @dev A restored copy of an old volume has a generation that is not newer, and is refused.
    function renewLease(bytes32 instanceId, uint64 generation, string calldata relayUrl) external {
        Party storage party = _party();
        if (generation <= party.generation) revert LeaseNotNewer();
        if (bytes(relayUrl).length > URL_BYTES_MAX) revert TextTooLong();
        party.instanceId = instanceId;
        party.generation = generation;
        _comeBack(party);
        party.relayUrl = relayUrl;
        emit LeaseRenewed(party.id, instanceId, generation);
    }

    function unregisterParty() external {
        Party storage party = _party();
        if (party.excludedAt == 0) return _exclude(party, "UNREGISTERED", 0);
        if (party.seats != 0) revert StillSeated();
        uint256 bond = party.bondWei;
        if (bond == 0) revert NothingToDo();
        uint256 since = unseatedAt[party.id];
        if (since < party.excludedAt) since = party.excludedAt;
        if (block.number < since + UNBOND_BLOCKS) revert NotReady();
        party.bondWei = 0;
        owedWei -= bond;
        _credit(msg.sender, bond);
    }

    /// @dev From here on nothing new; what it holds stays until others hold it.
    function _exclude(Party storage party, string memory reason, bytes32 evidence) private {
        if (party.excludedAt != 0) return;
        party.excludedAt = uint64(block.number);
        uint256 index = _indexOf(serving, party.id);
        serving[index] = serving[serving.length - 1];
        serving.pop();
        emit PartyExcluded(party.id, reason, evidence);
    }

    function parties(uint16 afterId, uint16 count) external view returns (Party[] memory page) {
        uint256 last = partyCount;
        uint256 room = last > afterId ? last - afterId : 0;
        page = new Party[](room < count ? room : count);
        uint256 length = 0;
        for (uint256 id = uint256(afterId) + 1; id <= last && length < page.length; id++) {
            Party storage party = partyRows[uint16(id)];
            if (party.excludedAt == 0 || party.bondWei != 0 || party.seats != 0) page[length++] = party;
        }
        assembly ("memory-safe") {
            mstore(page, length)
        }
    }

    // --- views ---

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

    function pendingSignatures() external view returns (SignRequest[] memory rows) {
        rows = new SignRequest[](pendingIds.length);
        for (uint256 index = 0; index < rows.length; index++) rows[index] = signatureRows[pendingIds[index]];
    }

    function signatureOf(bytes32 id) external view returns (SignRequest memory) {
        return signatureRows[id];
    }

    // --- conduct ---

    function reportDispute(bytes32 id, uint16 accused, bytes32 reason) external {
        Key storage key = keyRows[id];
        uint16 accuser = _reporter();
        if (accuser == accused || _indexOf(key.members, accuser) == type(uint256).max) revert NotAMember();
        if (_indexOf(key.members, accused) == type(uint256).max) revert NotAMember();
        uint32 pair = (uint32(accuser) << 16) | accused;
        uint32[] storage known = disputes[id];
        for (uint256 index = 0; index < known.length; index++) if (known[index] == pair) revert NothingToDo();
        known.push(pair);
        disputedAt[id].push(uint64(block.number));
        emit DisputeRecorded(id, accuser, accused, reason);
        _heal(key);
    }

    /// @dev A party that was expelled accuses nobody.
    function _reporter() private view returns (uint16) {
        Party storage party = _party();
        if (party.excludedAt != 0) revert NotAMember();
        return party.id;
    }

    /// @dev Silence proves nothing; it counts, once in a session, when as many of those that had the duty in an attempt as could tell report it.
    function reportAbsence(bytes32 session, uint16 attempt, uint16[] calldata accused, bytes calldata header) external {
        Operation storage row = operationRows[session];
        if (row.state == OperationState.SEATED) {
            if (attempt != row.attempt) revert AttemptWrong();
            // Dealers that leave have a say too; the new threshold suffices.
            return _takeReport(keyRows[row.key], session, attempt, Witnesses(_union(row.members, row.dealers), row.threshold), accused);
        }
        SignRequest storage request = signatureRows[session];
        if (request.state != SignatureState.PENDING) revert UnknownRequest();
        Key storage key = keyRows[request.key];
        Attempt memory begun = _begun(session, attempt, request.requestedAt + DELAY_BLOCKS);
        uint16[] memory set = _drawn(key, begun, _excludedIn(request, attempt), header);
        _takeReport(key, session, attempt, Witnesses(set, key.threshold - 1), accused);
    }

    /// @dev Whoever is silent in proofs of signature is found even where nobody orders anything.
    function reportHeartbeatAbsence(bytes32 id, uint64 epoch, uint16 attempt, uint16[] calldata accused, bytes calldata header) external {
        Key storage key = keyRows[id];
        (bytes32 session, uint256 height) = _beat(key, epoch);
        uint16[] memory set = _drawn(key, _begun(session, attempt, height), new uint16[](0), header);
        _takeReport(key, session, attempt, Witnesses(set, key.threshold - 1), accused);
    }

    /// @dev Who had the duty and may tell, and how many must say the same: of the t that sign in an attempt, all but the silent one.
    struct Witnesses {
        uint16[] set;
        uint256 threshold;
    }

    function _takeReport(Key storage key, bytes32 session, uint16 attempt, Witnesses memory witnesses, uint16[] calldata accused) private {
        uint16 reporter = _reporter();
        uint256 index = _indexIn(witnesses.set, reporter);
        if (index == type(uint256).max) revert NotAMember();
        if (accused.length > SIZE_MAX) revert SizeInvalid();
        for (uint256 place = 0; place < accused.length; place++) {
            uint16 id = accused[place];
            if (id == reporter || _indexIn(witnesses.set, id) == type(uint256).max) revert NotAMember();
            _leaveOut(signatureRows[session], id);
            bytes32 subject = keccak256(abi.encode(session, attempt, id));
            uint256 before = reports[subject];
            uint256 bits = before | (1 << index);
            if (bits == before) continue;
            reports[subject] = bits;
            emit AbsenceReported(session, attempt, id, reporter);
            // Counted with the report that makes the number.
            if (_count(bits) == witnesses.threshold) _recordAbsence(session, attempt, id);
        }
        if (key.state == KeyState.ACTIVE) _heal(key);
    }

    /// @dev One word suffices to try the next attempts of a signature with others; it costs the accused nothing else.
    function _leaveOut(SignRequest storage request, uint16 id) private {
        if (request.state != SignatureState.PENDING || _indexOf(request.excluded, id) != type(uint256).max) return;
        request.excluded.push(id);
        request.excludedFrom.push(uint16((block.number - request.requestedAt - DELAY_BLOCKS - 1) / ATTEMPT_BLOCKS + 1));
    }

    /// @dev Once in a session: members that hold it up on purpose must not make three of one silence.
    function _recordAbsence(bytes32 session, uint16 attempt, uint16 accused) private {
        bytes32 subject = keccak256(abi.encode(session, accused));
        if (isCounted[subject]) return;
        isCounted[subject] = true;
        _missOne(accused);
        Operation storage row = operationRows[session];
        if (row.state == OperationState.SEATED) row.excluded.push(accused);
        emit AbsenceRecorded(session, attempt, accused);
    }

    /// @dev Anyone may bring a proof; the bond pays its bearer a tenth and the node reserve the rest.
    function reportFault(uint16 accused, bytes calldata evidence) external {
        Party storage party = partyRows[accused];
        bytes32 name = keccak256(evidence);
        if (party.id == 0 || seenEvidence[name]) revert EvidenceWrong();
        string memory code = Dcrm.judge(accused, party.signKey, evidence);
        bytes32 former = formerSignKeys[accused];
        if (bytes(code).length == 0 && former != 0) code = Dcrm.judge(accused, former, evidence);
        if (bytes(code).length == 0) revert EvidenceWrong();
        seenEvidence[name] = true;
        emit FaultProven(accused, code, name);
        uint256 bond = party.bondWei;
        party.bondWei = 0;
        _exclude(party, code, name);
        owedWei -= bond;
        _credit(msg.sender, bond / 10);
        (bool ok,) = Dcrm.NODE_RESERVE.call{value: bond - bond / 10}("");
        require(ok);
        _healKeysOf(accused);
    }

    function _healKeysOf(uint16 party) private {
        uint256 length = keyIds.length;
        uint256 healed = 0;
        for (uint256 back = 1; back <= length && back <= FAULT_LOOKED_AT && healed < FAULT_HEALED; back++) {
            Key storage key = keyRows[keyIds[length - back]];
            if (key.state == KeyState.ACTIVE && _indexOf(key.members, party) != type(uint256).max && _heal(key)) healed++;
        }
    }

    function heal(bytes32 id) external {
        Key storage key = keyRows[id];
        if (key.state != KeyState.ACTIVE) revert UnknownKey();
        if (!_heal(key)) revert NothingToDo();
    }

    function disputesOf(bytes32 id) external view returns (uint32[] memory) {
        return disputes[id];
    }

    function health(bytes32 id) external view returns (uint256 live, uint256 threshold, uint256 margin) {
        return _health(keyRows[id]);
    }

    function withdraw() external {
        uint256 amountWei = credits[msg.sender];
        if (amountWei == 0) revert NothingToDo();
        credits[msg.sender] = 0;
        owedWei -= amountWei;
        (bool ok,) = msg.sender.call{value: amountWei}("");
        require(ok);
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

    function _union(uint16[] memory left, uint16[] memory right) private pure returns (uint16[] memory all) {
        all = new uint16[](left.length + right.length);
        uint256 count = left.length;
        for (uint256 index = 0; index < left.length; index++) all[index] = left[index];
        for (uint256 index = 0; index < right.length; index++) if (_indexIn(left, right[index]) == type(uint256).max) all[count++] = right[index];
        _shorten(all, count);
    }

    function _count(uint256 bits) private pure returns (uint256 count) {
        for (; bits != 0; bits &= bits - 1) count++;
    }
}
