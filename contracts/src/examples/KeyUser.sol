// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IKeyManager, IKeyTypes} from "../IKeyManager.sol";

/// @title A contract with a signature of its own
/// @notice Orders a threshold key, has it sign a statement this contract has made, and can tell its own statements by the signature alone.
contract KeyUser {
    IKeyManager private constant KEYS = IKeyManager(0x0000000000000000000000000000000000004608);
    /// @dev `generic`: the only purpose whose signatures can be ordered.
    uint8 private constant PURPOSE = 3;

    struct Statement {
        address about;
        uint256 amountWei;
        bytes32 request;
    }

    address public immutable owner;
    bytes32 public key;
    Statement[] public statements;

    event Stated(uint256 indexed number, bytes32 indexed request);

    error NotTheOwner();
    error AlreadyOrdered();

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotTheOwner();
        _;
    }

    constructor() {
        owner = msg.sender;
    }

    /// @dev Fees that come back are paid here.
    receive() external payable {}

    /// @notice Orders an Ed25519 key held by `size` parties, any `threshold` of which sign. The fee comes with the call.
    function orderKey(uint8 threshold, uint8 size) external payable onlyOwner {
        if (key != 0 && KEYS.keyOf(key).state != IKeyTypes.KeyState.FAILED) revert AlreadyOrdered();
        key = KEYS.requestKey{value: msg.value}(IKeyTypes.Scheme.ED25519, threshold, size);
    }

    /// @notice Orders a signature over a statement; its number.
    function state(address about, uint256 amountWei) external payable onlyOwner returns (uint256 number) {
        number = statements.length;
        bytes32 message = keccak256(abi.encode(number, about, amountWei));
        bytes32 request = KEYS.requestSignature{value: msg.value}(key, bytes32(0), message);
        statements.push(Statement(about, amountWei, request));
        emit Stated(number, request);
    }

    /// @notice Whether `signature` is this contract's own under statement `number`.
    function isMine(uint256 number, bytes calldata signature) external view returns (bool) {
        bytes32 digest = KEYS.signatureOf(statements[number].request).digest;
        return KEYS.checkSignature(IKeyTypes.Scheme.ED25519, KEYS.signingKey(key, PURPOSE, bytes32(0)), digest, signature);
    }

    /// @notice The signature under statement `number`, empty until it is made.
    function signatureOf(uint256 number) external view returns (bytes memory) {
        return KEYS.signatureOf(statements[number].request).signature;
    }

    /// @notice Brings back what the key manager owes this contract.
    function collect() external onlyOwner {
        KEYS.withdraw();
        (bool ok,) = owner.call{value: address(this).balance}("");
        require(ok);
    }
}
