// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What keys, their holders and orders look like
interface IKeyTypes {
    /// @dev Numbers as in shared/dcrm: 0 ECDSA, 1 Taproot (BIP340), 2 Ed25519.
    enum Scheme { ECDSA, TAPROOT, ED25519 }
    enum KeyState { NONE, PENDING, ACTIVE, FROZEN, FAILED }
    enum OperationKind { CREATE, REFRESH, RESHARE, RECOVER }
    enum OperationState { NONE, REQUESTED, SEATED, DONE, FROZEN, FAILED }
    enum SignatureState { NONE, PENDING, SIGNED, EXPIRED }
    /// @dev VALIDATOR: by genesis. ADMITTED: more than two thirds of the validators have said that it is an operator of its own.
    enum Standing { NONE, ADMITTED, VALIDATOR }

    struct Party {
        uint16 id;
        address account;
        /// @dev Keys it helps to hold, and operations it is seated in.
        uint32 seats;
        /// @dev Attempts missed in a row.
        uint32 absences;
        bytes32 signKey;
        bytes32 sealKey;
        uint128 bondWei;
        /// @dev Block since which the party is given nothing new, 0 when it may serve.
        uint64 excludedAt;
        /// @dev Process that holds the shares, and how often that party has started; the number rises only.
        bytes32 instanceId;
        uint64 generation;
        string relayUrl;
    }

    struct Key {
        bytes32 id;
        address owner;
        Scheme scheme;
        KeyState state;
        uint8 threshold;
        uint32 epoch;
        uint64 activeAt;
        uint64 heartbeatEpoch;
        uint16[] members;
        bytes publicKey;
        bytes32 digest;
    }

    struct Operation {
        bytes32 id;
        bytes32 key;
        OperationKind kind;
        OperationState state;
        uint8 threshold;
        uint8 size;
        uint16 attempt;
        uint16 lost;
        uint64 requestedAt;
        uint64 seatedAt;
        /// @dev Bit per member that confirmed.
        uint32 confirmations;
        bytes32 randomness;
        bytes32 digest;
        uint16[] members;
        /// @dev Old members that deal (reshare) or help (recover).
        uint16[] dealers;
        /// @dev Reported absent in an earlier attempt.
        uint16[] excluded;
        bytes publicKey;
        uint128 feeWei;
    }

    struct SignRequest {
        bytes32 id;
        bytes32 key;
        SignatureState state;
        uint64 requestedAt;
        bytes32 subject;
        bytes32 message;
        /// @dev What is signed: a hash under a domain of its own, never a foreign transaction's digest.
        bytes32 digest;
        uint128 feeWei;
        bytes signature;
        /// @dev Missed an attempt of this request, as one member of the key says: left out while enough others are there.
        uint16[] excluded;
        /// @dev By place, the first attempt without it: one that begins after the word, because the set of an attempt never changes.
        uint16[] excludedFrom;
    }

    event PartyRegistered(uint16 indexed party, address indexed account, bytes32 signKey, bytes32 sealKey, string relayUrl);
    event PartyExcluded(uint16 indexed party, string reason, bytes32 evidence);
    event OperatorVouched(address indexed account, address indexed validator, uint16 words);
    event KeysRenewed(uint16 indexed party, bytes32 signKey, bytes32 sealKey);
    event LeaseRenewed(uint16 indexed party, bytes32 instanceId, uint64 generation);
    event OperationRequested(bytes32 indexed operation, bytes32 indexed key, OperationKind kind);
    event OperationSeated(bytes32 indexed operation, bytes32 indexed key, uint16 attempt, uint16[] members, uint16[] dealers);
    event OperationConfirmed(bytes32 indexed operation, uint16 indexed party, bytes32 digest);
    event OperationEnded(bytes32 indexed operation, bytes32 indexed key, OperationState state);
    event KeyActive(bytes32 indexed key, uint32 epoch, bytes publicKey, uint16[] members, uint8 threshold);
    event SignatureRequested(bytes32 indexed id, bytes32 indexed key, bytes32 digest);
    event SignaturePosted(bytes32 indexed id, bytes32 indexed key, bytes signature, uint16[] signers);
    event SignatureExpired(bytes32 indexed id, bytes32 indexed key);
    event Heartbeat(bytes32 indexed key, uint64 indexed epoch, bytes signature, uint16[] signers);
    /// @dev `reason` is the accuser's word, as text: what pairs say to each other in secret is nothing a third can judge.
    event DisputeRecorded(bytes32 indexed key, uint16 indexed accuser, uint16 indexed accused, bytes32 reason);
    /// @dev What an absence rests on: each word of a member that could tell.
    event AbsenceReported(bytes32 indexed session, uint16 attempt, uint16 indexed accused, uint16 indexed reporter);
    event AbsenceRecorded(bytes32 indexed session, uint16 attempt, uint16 indexed accused);
    event FaultProven(uint16 indexed accused, string code, bytes32 evidence);
    event Credited(address indexed account, uint256 amountWei);

    error NotAParty();
    error NotAValidator();
    error NotAdmitted();
    error AlreadyRegistered();
    error BondTooSmall();
    error KeyInvalid();
    error TextTooLong();
    error LeaseNotNewer();
    error UnknownKey();
    error UnknownOperation();
    error UnknownRequest();
    error NotTheOwner();
    error NotAMember();
    error NotReady();
    error SizeInvalid();
    error TooManyOpen();
    error FeeTooSmall();
    error HeaderWrong();
    error TooFewCandidates();
    error AttemptWrong();
    error SignatureWrong();
    error EvidenceWrong();
    error StillSeated();
    error NothingToDo();
    error WrongAddress();
}

/// @title What owners order and committees deliver
interface IKeyOrders is IKeyTypes {
    function requestKey(Scheme scheme, uint8 threshold, uint8 size) external payable returns (bytes32 id);
    function requestRefresh(bytes32 key) external payable returns (bytes32 operation);
    function requestReshare(bytes32 key, uint8 threshold, uint8 size) external payable returns (bytes32 operation);
    function requestRecovery(bytes32 key, uint16 lost) external payable returns (bytes32 operation);
    /// @notice Gives an operation its committee, for the first time or after an attempt without result. Anyone may call.
    /// @param header canonical header of the block whose randomness decides, see seatHeight
    function seat(bytes32 operation, bytes calldata header) external;
    function seatHeight(bytes32 operation) external view returns (uint256);
    function confirm(bytes32 operation, uint16 attempt, bytes32 digest, bytes calldata publicKey) external;
    function requestSignature(bytes32 key, bytes32 subject, bytes32 message) external payable returns (bytes32 id);
    function postSignature(bytes32 id, uint16 attempt, bytes calldata signature, bytes calldata header) external;
    /// @notice Gives back the fee of a request that nobody served in time. Anyone may call.
    function expireSignature(bytes32 id) external;
    function postHeartbeat(bytes32 key, uint64 epoch, uint16 attempt, bytes calldata signature, bytes calldata header) external;
}

/// @title Parties, their conduct, and what anyone may look up
interface IKeyConduct is IKeyTypes {
    function MIN_BOND_WEI() external view returns (uint256);
    function genesisHash() external view returns (bytes32);
    /// @notice Blocks between two proofs of signature of a key; the epoch of a block is its height divided by this.
    function heartbeatBlocks() external view returns (uint256);
    /// @notice Height up to which blocks go on because a key or a signature waits.
    function activeUntil() external view returns (uint256);

    /// @notice A validator's word that each account belongs to an operator of its own, none of those that are admitted already.
    function vouch(address[] calldata accounts) external;
    /// @notice Standing of an account, and how many validators have vouched for it.
    function standingOf(address account) external view returns (Standing standing, uint16 words);
    function registerParty(bytes32 signKey, bytes32 sealKey, string calldata relayUrl) external payable returns (uint16 id);
    function renewLease(bytes32 instanceId, uint64 generation, string calldata relayUrl) external;
    /// @notice For a party that lost its store: other keys and a lease that begins anew. Its shares come back one by one, see requestRecovery.
    function renewKeys(bytes32 signKey, bytes32 sealKey) external;
    /// @notice First call: the party is given nothing new. Second call, without seats and after the delay: the bond comes back.
    function unregisterParty() external;
    /// @notice Parties with larger ids, without those that are gone with their bond.
    function parties(uint16 afterId, uint16 count) external view returns (Party[] memory page);
    function partyOf(address account) external view returns (uint16 id);

    function openOperations() external view returns (Operation[] memory);
    function operation(bytes32 id) external view returns (Operation memory);
    function keyOf(bytes32 id) external view returns (Key memory);
    function keys(uint256 start, uint256 count) external view returns (Key[] memory page);
    function pendingSignatures() external view returns (SignRequest[] memory);
    function signatureOf(bytes32 id) external view returns (SignRequest memory);

    function reportDispute(bytes32 key, uint16 accused, bytes32 reason) external;
    /// @notice Says who was silent in an attempt in which both had the duty.
    /// @param header of a signature: canonical header of the block that opened it, see postSignature; of an operation: nothing
    function reportAbsence(bytes32 session, uint16 attempt, uint16[] calldata accused, bytes calldata header) external;
    /// @notice The same for a proof of signature, whose session is keccak256(abi.encode(key, epoch)).
    function reportHeartbeatAbsence(bytes32 key, uint64 epoch, uint16 attempt, uint16[] calldata accused, bytes calldata header)
        external;
    function reportFault(uint16 accused, bytes calldata evidence) external;
    /// @notice Orders new holders for a key whose holders became too few. Reports and heartbeats do so by themselves.
    function heal(bytes32 key) external;
    function disputesOf(bytes32 key) external view returns (uint32[] memory pairs);
    function health(bytes32 key) external view returns (uint256 live, uint256 threshold, uint256 margin);

    function withdraw() external;
    function creditOf(address account) external view returns (uint256);

    /// @notice Whether `signature` over `digest` verifies: ECDSA by public key, BIP340 by x-only key, Ed25519 by key.
    function checkSignature(Scheme scheme, bytes calldata publicKey, bytes32 digest, bytes calldata signature) external view returns (bool);
    /// @notice ECDSA by Ethereum address: r, s and recovery id.
    function checkSignatureOf(address signer, bytes32 digest, bytes calldata signature) external view returns (bool);
    /// @notice The key under which signatures of `purpose` and `subject` verify.
    function signingKey(bytes32 key, uint8 purpose, bytes32 subject) external view returns (bytes memory);
    /// @notice Addresses of that key on other chains, in test encodings, separated by spaces.
    function addressOf(bytes32 key, uint8 purpose, bytes32 subject) external view returns (string memory);
}

/// @title Keys nobody holds
/// @notice Orders threshold keys and signatures, records who holds them and how they behave. Source: paper 3.5, 4.4.3 (1).
/// Rounds run elsewhere; what counts here are confirmations by accounts and signatures that verify.
interface IKeyManager is IKeyOrders, IKeyConduct {}
