// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Checks on X25519 (WireGuard) public keys
/// @notice A WireGuard public key is the u coordinate of a point on Curve25519: 32 bytes, least
/// significant byte FIRST (RFC 7748). Here it is a `bytes32` whose first byte is the key's first byte, so
/// read as a Solidity number it is byte-reversed: the top bit of the key sits in the LAST byte.
library CurvePoints {
    /// @notice The key is zero, which is what an unset variable looks like.
    error ZeroKey();
    /// @notice The key is not the one encoding of its point (top bit set, or not below 2^255 - 19). Two
    /// encodings of one point would look like two keys here and be one peer to WireGuard.
    error NonCanonicalKey(bytes32 publicKey);
    /// @notice The key is a point of small order: the shared secret with it is known to everybody.
    error LowOrderKey(bytes32 publicKey);

    /// @dev All bytes of a key but the first, for a u coordinate of 2^255 - 256 or more.
    uint256 private constant HIGH_TAIL = 0x00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f;
    /// @dev First byte of p = 2^255 - 19.
    uint256 private constant P_FIRST_BYTE = 0xed;

    /// @dev The u coordinates of small order besides 0, as key bytes: 1, both of order 8, and p - 1.
    /// Source: https://cr.yp.to/ecdh.html#validate (its other encodings are not canonical).
    bytes32 private constant ONE = 0x0100000000000000000000000000000000000000000000000000000000000000;
    bytes32 private constant ORDER_8_A = 0xe0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800;
    bytes32 private constant ORDER_8_B = 0x5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157;
    bytes32 private constant MINUS_ONE = 0xecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f;

    /// @notice Reverts, naming the reason, unless the key can be a WireGuard peer.
    /// @param publicKey the 32 bytes of the key in WireGuard's order
    function check(bytes32 publicKey) internal pure {
        uint256 word = uint256(publicKey);
        if (word == 0) revert ZeroKey();
        if (word & 0x80 != 0 || (word & (type(uint256).max >> 8) == HIGH_TAIL && word >> 248 >= P_FIRST_BYTE)) {
            revert NonCanonicalKey(publicKey);
        }
        if (publicKey == ONE || publicKey == ORDER_8_A || publicKey == ORDER_8_B || publicKey == MINUS_ONE) {
            revert LowOrderKey(publicKey);
        }
    }
}
