// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Requests that one account signs and any other sends
/// @notice EIP-712 typed data, with a nonce per account and a deadline; wallet contracts sign by ERC-1271.
/// @dev The wallet asked is the one the request is for, so it is called without a bound on gas: it can only spoil
/// its own request.
abstract contract SignedRequests is EIP712, Nonces {
    /// @notice The signature's deadline has passed.
    error SignatureExpired(uint256 deadline, uint256 time);
    /// @notice The signature was used before.
    error SignatureReplayed(address account, uint256 nonce);
    /// @notice Not a signature of the account over this request with its current nonce, for this contract and chain.
    error InvalidSignature(address account, uint256 nonce);

    /// @dev How many used nonces are tried to tell a replayed signature from a wrong one.
    uint256 private constant REPLAY_LOOKBACK = 8;

    /// @dev Consumes a nonce of the account, or reverts naming what is wrong with the signature.
    function _useSignature(
        bytes32 typeHash,
        bytes memory request,
        address account,
        uint256 deadline,
        bytes calldata signature
    ) internal {
        if (block.timestamp > deadline) revert SignatureExpired(deadline, block.timestamp);
        uint256 nonce = _useNonce(account);
        if (_signed(typeHash, request, account, nonce, deadline, signature)) return;
        for (uint256 back = 1; back <= REPLAY_LOOKBACK && back <= nonce; ++back) {
            if (_signed(typeHash, request, account, nonce - back, deadline, signature)) {
                revert SignatureReplayed(account, nonce - back);
            }
        }
        revert InvalidSignature(account, nonce);
    }

    function _signed(
        bytes32 typeHash,
        bytes memory request,
        address account,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) private view returns (bool) {
        bytes32 digest = _hashTypedDataV4(keccak256(bytes.concat(typeHash, request, abi.encode(nonce, deadline))));
        return SignatureChecker.isValidSignatureNowCalldata(account, digest, signature);
    }
}
