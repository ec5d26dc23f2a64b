// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {IERC4907} from "./interfaces/IERC4907.sol";
import {IERC5643} from "./interfaces/IERC5643.sol";

/// @title The pass: who holds it may join the network
/// @notice An ERC-721 whose tokens may be rented (ERC-4907) and may expire (ERC-5643). The operator (the owner
/// of this contract) mints passes and renews them; payment, if any, is settled elsewhere.
/// @dev Every term is exclusive: a user is the user, and a pass is valid, BEFORE the second named.
contract AccessPass is ERC721, Ownable2Step, IERC4907, IERC5643 {
    using Strings for uint256;

    /// @notice An expiry must lie in the future.
    error ExpiryNotInFuture(uint64 expires);
    /// @notice The pass does not expire, so there is nothing to renew.
    error NotRenewable(uint256 tokenId);
    /// @notice The new expiry is further away than can be stored (2^48 - 1 seconds).
    error DurationTooLong(uint64 duration);
    /// @notice Renewing and cancelling take no payment here.
    error PaymentNotAccepted(uint256 value);

    /// @dev All terms of a pass in one storage slot, so that reading user and expiry costs one cold read. 48
    /// bits of seconds last for millions of years.
    struct Terms {
        address user;
        uint48 userExpires;
        uint48 expiresAt;
    }

    mapping(uint256 tokenId => Terms) private _terms;
    uint256 private _minted;

    /// @param name_ name of the collection
    /// @param symbol_ symbol of the collection
    /// @param owner_ the operator: an argument because the contract is deployed through a proxy
    constructor(string memory name_, string memory symbol_, address owner_) ERC721(name_, symbol_) Ownable(owner_) {}

    /// @notice Mints a pass that does not expire. Token ids count up from 1.
    /// @param to who gets it; a contract must implement onERC721Received
    /// @return tokenId the new pass
    function mint(address to) external onlyOwner returns (uint256 tokenId) {
        return _mintNext(to, 0);
    }

    /// @notice Mints a pass that expires.
    /// @param to who gets it; a contract must implement onERC721Received
    /// @param expires first second at which the pass is no longer valid, UNIX time
    /// @return tokenId the new pass
    function mintUntil(address to, uint64 expires) external onlyOwner returns (uint256 tokenId) {
        if (expires <= block.timestamp) revert ExpiryNotInFuture(expires);
        return _mintNext(to, _fit(expires));
    }

    /// @notice How many passes were minted; ids are 1 to this number.
    function totalSupply() external view returns (uint256) {
        return _minted;
    }

    // ---------------------------------------------------------------- ERC-4907

    /// @inheritdoc IERC4907
    /// @dev By the owner of the pass or an account approved for it. As in the standard's reference, a new call
    /// replaces a running term, and a transfer ends it. A term beyond 2^48 - 1 (often "for ever") is cut to that.
    function setUser(uint256 tokenId, address user, uint64 expires) external {
        _checkAuthorized(_requireOwned(tokenId), _msgSender(), tokenId);
        Terms storage terms = _terms[tokenId];
        uint48 end = _fit(user == address(0) ? 0 : expires);
        (terms.user, terms.userExpires) = (user, end);
        emit UpdateUser(tokenId, user, end);
    }

    /// @inheritdoc IERC4907
    function userOf(uint256 tokenId) external view returns (address) {
        Terms storage terms = _terms[tokenId];
        return block.timestamp < terms.userExpires ? terms.user : address(0);
    }

    /// @inheritdoc IERC4907
    function userExpires(uint256 tokenId) external view returns (uint256) {
        return _terms[tokenId].userExpires;
    }

    // ---------------------------------------------------------------- ERC-5643

    /// @inheritdoc IERC5643
    /// @dev By the operator only: a holder who could renew would never have to pay again. A pass that already
    /// expired starts anew from now.
    function renewSubscription(uint256 tokenId, uint64 duration) external payable onlyOwner {
        if (msg.value != 0) revert PaymentNotAccepted(msg.value);
        _requireOwned(tokenId);
        Terms storage terms = _terms[tokenId];
        if (terms.expiresAt == 0) revert NotRenewable(tokenId);
        uint256 from = terms.expiresAt > block.timestamp ? terms.expiresAt : block.timestamp;
        uint256 until = from + duration;
        if (until > type(uint48).max) revert DurationTooLong(duration);
        _setExpiry(tokenId, uint48(until));
    }

    /// @inheritdoc IERC5643
    /// @dev Ends the pass at once. By its owner or an account approved for it (giving it up), or by the operator
    /// (taking it back). The token remains, and the operator can renew it.
    function cancelSubscription(uint256 tokenId) external payable {
        if (msg.value != 0) revert PaymentNotAccepted(msg.value);
        address holder = _requireOwned(tokenId);
        if (_msgSender() != owner()) _checkAuthorized(holder, _msgSender(), tokenId);
        uint48 end = _terms[tokenId].expiresAt;
        // A pass that is already over keeps the date at which it ended.
        if (end == 0 || end > block.timestamp) _setExpiry(tokenId, uint48(block.timestamp));
    }

    /// @inheritdoc IERC5643
    /// @dev 0 for a pass that does not expire.
    function expiresAt(uint256 tokenId) external view returns (uint64) {
        return _terms[tokenId].expiresAt;
    }

    /// @inheritdoc IERC5643
    function isRenewable(uint256 tokenId) external view returns (bool) {
        _requireOwned(tokenId);
        return _terms[tokenId].expiresAt != 0;
    }

    // ---------------------------------------------------------------- ERC-721 and ERC-165

    /// @notice Name and expiry of a pass as JSON in a data URI: nothing is hosted anywhere.
    /// @param tokenId the pass
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        _requireOwned(tokenId);
        string memory json = string.concat(
            '{"name":"',
            Strings.escapeJSON(name()),
            " #",
            tokenId.toString(),
            '","attributes":[{"trait_type":"Expires","display_type":"date","value":',
            uint256(_terms[tokenId].expiresAt).toString(),
            "}]}"
        );
        return string.concat("data:application/json;base64,", Base64.encode(bytes(json)));
    }

    /// @notice ERC-165, ERC-721 with metadata, ERC-4907 and ERC-5643.
    /// @param interfaceId the interface asked for
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == type(IERC4907).interfaceId || interfaceId == type(IERC5643).interfaceId
            || super.supportsInterface(interfaceId);
    }

    /// @dev A transfer ends a rental: the new owner gets the whole pass. The pass's own expiry stays.
    function _update(address to, uint256 tokenId, address auth) internal override returns (address from) {
        from = super._update(to, tokenId, auth);
        Terms storage terms = _terms[tokenId];
        if (from != to && terms.user != address(0)) {
            (terms.user, terms.userExpires) = (address(0), 0);
            emit UpdateUser(tokenId, address(0), 0);
        }
    }

    function _mintNext(address to, uint48 end) private returns (uint256 tokenId) {
        tokenId = ++_minted;
        if (end != 0) _setExpiry(tokenId, end);
        _safeMint(to, tokenId);
    }

    function _setExpiry(uint256 tokenId, uint48 end) private {
        _terms[tokenId].expiresAt = end;
        emit SubscriptionUpdate(tokenId, end);
    }

    /// @dev Cuts a term to what is stored.
    function _fit(uint64 expires) private pure returns (uint48) {
        return expires > type(uint48).max ? type(uint48).max : uint48(expires);
    }
}
