// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {IERC4907} from "./interfaces/IERC4907.sol";
import {IERC5643} from "./interfaces/IERC5643.sol";

/// @title Questions to a collection that is not trusted
/// @notice A collection may be anybody's contract. It may revert, lie, burn all the gas it is given, return
/// megabytes or nothing at all; whatever it does about one token must not hurt the answer about another.
/// So each question has a fixed stipend of gas, at most 32 bytes of the answer are copied, and an answer that
/// is missing, short or out of range counts as "nobody is entitled" for that token alone.
/// @dev A caller who gives too little gas must not be able to turn "did not fit" into such an answer: before
/// each question the gas left is checked, and the whole call reverts with {NotEnoughGas}.
library ForeignPass {
    /// @notice There is not enough gas left to ask the collection: ask again with more gas, or a shorter page.
    error NotEnoughGas(uint256 left, uint256 needed);

    /// @dev Gas for one question: enough for a proxied collection or one that walks a few storage slots.
    uint256 internal constant STIPEND = 40_000;
    /// @dev Gas needed before a question. A call gets at most 63/64 of what is left after its own cost (EIP-150),
    /// which is 2,600 for a cold account and some 100 around it: with this much left, the stipend is given whole.
    uint256 internal constant GAS_NEEDED = (STIPEND * 64) / 63 + 4_000;

    /// @notice Who is entitled to a token: its live ERC-4907 user, else its owner.
    /// @param collection the ERC-721 collection
    /// @param tokenId the token
    /// @param rentable whether the collection has ERC-4907
    /// @return holder the one entitled, zero when the token has no owner or an answer could not be read
    /// @return rentalEnd end of the user's term, UNIX time in seconds, when the holder is a user who is not
    /// the owner; else 0. The user is entitled before that second, the owner from that second on.
    function holderOf(address collection, uint256 tokenId, bool rentable)
        internal
        view
        returns (address holder, uint256 rentalEnd)
    {
        bool ok;
        (ok, holder) = _askAddress(collection, IERC721.ownerOf.selector, tokenId);
        if (!ok) return (address(0), 0);
        if (!rentable) return (holder, 0);

        address user;
        (ok, user) = _askAddress(collection, IERC4907.userOf.selector, tokenId);
        if (!ok) return (address(0), 0);
        if (user == address(0) || user == holder) return (holder, 0);

        // Asked for even though userOf should already be zero after the term: not every collection does so.
        uint256 end;
        (ok, end) = _ask(collection, IERC4907.userExpires.selector, tokenId);
        if (!ok) return (address(0), 0);
        return end > block.timestamp ? (user, end) : (holder, 0);
    }

    /// @notice When a token expires (ERC-5643).
    /// @param collection the ERC-721 collection, which has ERC-5643
    /// @param tokenId the token
    /// @return ok false when the answer could not be read
    /// @return end UNIX time in seconds, 0 for a token that does not expire; expired from that second on
    function expiresAt(address collection, uint256 tokenId) internal view returns (bool ok, uint256 end) {
        (ok, end) = _ask(collection, IERC5643.expiresAt.selector, tokenId);
        ok = ok && end <= type(uint64).max;
    }

    /// @notice Whether a collection says that it has an interface (ERC-165).
    /// @param collection the contract asked
    /// @param interfaceId the interface
    function hasInterface(address collection, bytes4 interfaceId) internal view returns (bool) {
        (bool ok, uint256 answer) =
            _ask(collection, IERC165.supportsInterface.selector, uint256(bytes32(interfaceId)));
        return ok && answer == 1;
    }

    function _askAddress(address target, bytes4 selector, uint256 argument)
        private
        view
        returns (bool ok, address answer)
    {
        uint256 word;
        (ok, word) = _ask(target, selector, argument);
        ok = ok && word <= type(uint160).max;
        answer = address(uint160(word));
    }

    /// @dev Calls `selector(argument)`; `ok` when the call succeeded and returned at least one word.
    function _ask(address target, bytes4 selector, uint256 argument) private view returns (bool ok, uint256 word) {
        if (gasleft() < GAS_NEEDED) revert NotEnoughGas(gasleft(), GAS_NEEDED);
        uint256 stipend = STIPEND;
        // Only scratch space (0x00-0x3f) is used: 36 bytes go out, at most 32 come back, however much is returned.
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x04, argument)
            ok := staticcall(stipend, target, 0x00, 0x24, 0x00, 0x20)
            ok := and(ok, gt(returndatasize(), 0x1f))
            word := mload(0x00)
        }
    }
}
