// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title ERC-5643: subscription NFT
/// @notice An ERC-721 token may expire and be renewed.
/// @dev Interface id 0x8c65f84d. Source: https://eips.ethereum.org/EIPS/eip-5643
interface IERC5643 {
    /// @notice The expiry of a token changed.
    /// @param tokenId the token
    /// @param expiration the new expiry, UNIX time in seconds, 0 for none
    event SubscriptionUpdate(uint256 indexed tokenId, uint64 expiration);

    /// @notice Makes a token last longer.
    /// @param tokenId the token
    /// @param duration how much longer, in seconds
    function renewSubscription(uint256 tokenId, uint64 duration) external payable;

    /// @notice Ends a token's subscription.
    /// @param tokenId the token
    function cancelSubscription(uint256 tokenId) external payable;

    /// @notice The expiry of a token, UNIX time in seconds.
    /// @param tokenId the token
    function expiresAt(uint256 tokenId) external view returns (uint64);

    /// @notice Whether a token can be renewed.
    /// @param tokenId the token
    function isRenewable(uint256 tokenId) external view returns (bool);
}
