// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title ERC-4907: rental NFT
/// @notice An ERC-721 token may have a user besides its owner, until a term.
/// @dev Interface id 0xad092b5c. Source: https://eips.ethereum.org/EIPS/eip-4907
interface IERC4907 {
    /// @notice The user of a token, or the term of that user, changed.
    /// @param tokenId the token
    /// @param user the new user, zero when there is none
    /// @param expires end of the term, UNIX time in seconds
    event UpdateUser(uint256 indexed tokenId, address indexed user, uint64 expires);

    /// @notice Sets the user of a token and the term; the zero user ends a rental.
    /// @param tokenId the token
    /// @param user the new user
    /// @param expires end of the term, UNIX time in seconds
    function setUser(uint256 tokenId, address user, uint64 expires) external;

    /// @notice The live user of a token, zero when there is none or the term is over.
    /// @param tokenId the token
    function userOf(uint256 tokenId) external view returns (address);

    /// @notice The end of the user's term, UNIX time in seconds, 0 when no user was set.
    /// @param tokenId the token
    function userExpires(uint256 tokenId) external view returns (uint256);
}
