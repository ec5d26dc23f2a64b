// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {CurvePoints} from "./CurvePoints.sol";
import {ForeignPass} from "./ForeignPass.sol";
import {SignedRequests} from "./SignedRequests.sol";
import {SlotTable} from "./SlotTable.sol";
import {IERC4907} from "./interfaces/IERC4907.sol";
import {IERC5643} from "./interfaces/IERC5643.sol";

/// @title Which WireGuard key belongs to which pass
/// @notice Binds a token of any ERC-721 collection to a WireGuard public key and a slot. The slot gives the
/// tunnel address, so all nodes agree on addresses without talking to each other.
///
/// A binding COUNTS only while the one who made it is still entitled: `holderOf(token)` is still the holder it was
/// made for (a sale, or the end of a rental, revokes by itself), the delegate who made it is still that holder's
/// delegate, and the pass has not expired. This is decided when the list is read, so nobody has to send a
/// transaction for it. Every term is exclusive: what expires at second T is over at T.
///
/// How slots are given out, rest and are used again is written in {SlotTable}. A binding that no longer counts keeps
/// its slot until somebody frees it with {reclaim}, takes its key, or registers the pass anew; if it comes to count
/// again before that (the pass is renewed, or comes back to the same holder), it does so with the same slot.
///
/// That the holder has the private half of the key cannot be proved to a contract (X25519 does not sign): a relay asks
/// for that proof before it sends {registerFor}, {register} cannot. A key registered by somebody who does not have it
/// lets nobody in; it can only be in the way of its owner, who then takes another.
///
/// @dev Foreign contracts are only asked through static calls with bounded gas, see {ForeignPass}; the one call
/// without such a bound is ERC-1271 in {registerFor} and {revokeFor}, where the wallet asked is the caller's own.
contract KeyRegistry is SlotTable, SignedRequests {
    /// @notice A binding that counts.
    /// @param tokenId the pass
    /// @param holder who is entitled: the owner or the live user (never the delegate)
    /// @param publicKey the WireGuard public key, in WireGuard's byte order
    /// @param slot number of the tunnel address, from 1
    /// @param expires first second at which the binding no longer counts unless something changes, UNIX time: the
    /// earliest of the pass's expiry and the end of the rental; 0 for none
    struct Peer {
        uint256 tokenId;
        address holder;
        bytes32 publicKey;
        uint32 slot;
        uint64 expires;
    }

    /// @dev A delegation holds only while the one who gave it is the holder.
    struct Delegation {
        address holder;
        address delegate;
    }

    /// @notice A key was bound to a pass, for the first time or in place of an older key.
    /// @param delegate who did it when it was not the holder, else zero
    event KeyRegistered(
        uint256 indexed tokenId, address indexed holder, bytes32 indexed publicKey, uint32 slot, address delegate
    );
    /// @notice A holder named a delegate for a pass, or with zero took that back.
    event DelegateSet(uint256 indexed tokenId, address indexed holder, address indexed delegate);

    /// @notice There is no contract at the collection's address on this chain.
    error CollectionHasNoCode(address collection);
    /// @notice The collection does not say that it is an ERC-721.
    error NotERC721(address collection);
    /// @notice The account is neither the holder of the pass nor, where delegates are allowed, the holder's delegate.
    /// @param holder who holds it: zero when nobody does, or when the collection's answer could not be read
    error NotHolder(uint256 tokenId, address account, address holder);
    /// @notice The pass has expired.
    error PassExpired(uint256 tokenId, uint256 expiredAt);
    /// @notice The collection gave no readable expiry for the pass.
    error ExpiryUnreadable(uint256 tokenId);
    /// @notice The key belongs to another pass whose binding counts.
    error KeyTaken(bytes32 publicKey, uint256 tokenId);
    /// @notice The pass has no binding.
    error NoBinding(uint256 tokenId);
    /// @notice The binding counts, so only its holder can end it.
    error BindingCounts(uint256 tokenId, address holder);
    /// @notice This registry allows no delegates.
    error DelegatesNotAllowed();

    /// @notice EIP-712 type of {registerFor}.
    bytes32 public constant REGISTER_TYPEHASH =
        keccak256("Register(uint256 tokenId,bytes32 publicKey,uint256 nonce,uint256 deadline)");
    /// @notice EIP-712 type of {revokeFor}.
    bytes32 public constant REVOKE_TYPEHASH = keccak256("Revoke(uint256 tokenId,uint256 nonce,uint256 deadline)");

    /// @notice The collection whose tokens are the passes.
    address public immutable collection;
    /// @notice Whether a holder may name a delegate.
    bool public immutable delegates;
    /// @notice Whether the collection has ERC-4907 users. Asked once, when this contract is deployed.
    bool public immutable rentable;
    /// @notice Whether the collection has ERC-5643 expiry. Asked once, when this contract is deployed.
    bool public immutable expiring;

    mapping(uint256 tokenId => Delegation) private _delegations;

    /// @param collection_ the ERC-721 collection; ERC-4907 and ERC-5643 are used if it supports them (ERC-165)
    /// @param delegates_ whether a holder may name a delegate
    /// @param quarantine_ how long a freed slot rests, in seconds: the time for which a node may serve an old
    /// list, plus the time to finality
    constructor(address collection_, bool delegates_, uint64 quarantine_)
        EIP712("berth KeyRegistry", "1")
        SlotTable(quarantine_)
    {
        if (collection_.code.length == 0) revert CollectionHasNoCode(collection_);
        if (!ForeignPass.hasInterface(collection_, type(IERC721).interfaceId)) revert NotERC721(collection_);
        collection = collection_;
        delegates = delegates_;
        rentable = ForeignPass.hasInterface(collection_, type(IERC4907).interfaceId);
        expiring = ForeignPass.hasInterface(collection_, type(IERC5643).interfaceId);
    }

    // ---------------------------------------------------------------- writing

    /// @notice Binds a key to a pass. By its holder, or the holder's delegate. The same holder keeps the slot
    /// when the key changes; another holder gets another slot.
    /// @param tokenId the pass
    /// @param publicKey the WireGuard public key, in WireGuard's byte order
    function register(uint256 tokenId, bytes32 publicKey) external {
        _register(tokenId, publicKey, msg.sender);
    }

    /// @notice {register}, sent by anyone, with an EIP-712 signature of the holder (or the holder's delegate).
    /// @param tokenId the pass
    /// @param publicKey the WireGuard public key, in WireGuard's byte order
    /// @param holder who signed; a wallet contract is asked by ERC-1271
    /// @param deadline last second at which the signature is taken, UNIX time
    /// @param signature over `Register(tokenId, publicKey, nonces(holder), deadline)`
    function registerFor(
        uint256 tokenId,
        bytes32 publicKey,
        address holder,
        uint256 deadline,
        bytes calldata signature
    ) external {
        _useSignature(REGISTER_TYPEHASH, abi.encode(tokenId, publicKey), holder, deadline, signature);
        _register(tokenId, publicKey, holder);
    }

    /// @notice Ends the binding of a pass. By the one it was made for, the delegate who made it, or who may
    /// register the pass now.
    /// @param tokenId the pass
    function revoke(uint256 tokenId) external {
        _revoke(tokenId, msg.sender);
    }

    /// @notice {revoke}, sent by anyone, with an EIP-712 signature.
    /// @param tokenId the pass
    /// @param holder who signed; a wallet contract is asked by ERC-1271
    /// @param deadline last second at which the signature is taken, UNIX time
    /// @param signature over `Revoke(tokenId, nonces(holder), deadline)`
    function revokeFor(uint256 tokenId, address holder, uint256 deadline, bytes calldata signature) external {
        _useSignature(REVOKE_TYPEHASH, abi.encode(tokenId), holder, deadline, signature);
        _revoke(tokenId, holder);
    }

    /// @notice Frees the slot and the key of a binding that does not count. By anyone.
    /// @param tokenId the pass
    function reclaim(uint256 tokenId) external {
        uint32 slot = _requireSlot(tokenId);
        (bool counts, address holder,) = _counts(_rows[slot], tokenId);
        if (counts) revert BindingCounts(tokenId, holder);
        _free(slot);
    }

    /// @notice Names the account that may register keys for a pass besides its holder. By the holder; it lasts
    /// while the holder holds the pass. What a former delegate registered stops counting.
    /// @param tokenId the pass
    /// @param delegate the delegate, zero for none
    function setDelegate(uint256 tokenId, address delegate) external {
        if (!delegates) revert DelegatesNotAllowed();
        address holder = holderOf(tokenId);
        if (holder != msg.sender) revert NotHolder(tokenId, msg.sender, holder);
        _delegations[tokenId] = Delegation(holder, delegate);
        emit DelegateSet(tokenId, holder, delegate);
    }

    // ---------------------------------------------------------------- reading

    /// @notice The bindings that count at this block, among rows [cursor, cursor + limit). Ask at one block hash
    /// for all pages. When it fails for want of gas, ask for fewer rows.
    /// @param cursor first row
    /// @param limit how many rows, at most
    /// @return peers the bindings that count, by slot
    /// @return next first row not looked at; equal to `total` at the end
    /// @return total number of rows
    /// @return checksum `keccak256(abi.encode(peers))`, to notice a truncated answer
    /// @return chainId id of this chain
    function activePeers(uint256 cursor, uint256 limit)
        external
        view
        returns (Peer[] memory peers, uint256 next, uint256 total, bytes32 checksum, uint256 chainId)
    {
        total = _slots;
        if (cursor > total) cursor = total;
        next = limit < total - cursor ? cursor + limit : total;
        peers = new Peer[](next - cursor);
        uint256 count;
        for (uint256 i = cursor; i < next; ++i) {
            if (_read(uint32(i + 1), peers, count)) ++count;
        }
        checksum = _seal(peers, count);
        chainId = block.chainid;
    }

    /// @notice The bindings that count at this block, among some passes: to look again at those that a block touched.
    /// @param tokenIds the passes, in any order
    /// @return peers the bindings that count, in the order asked for
    /// @return checksum `keccak256(abi.encode(peers))`
    /// @return chainId id of this chain
    function peersOf(uint256[] calldata tokenIds)
        external
        view
        returns (Peer[] memory peers, bytes32 checksum, uint256 chainId)
    {
        peers = new Peer[](tokenIds.length);
        uint256 count;
        for (uint256 i = 0; i < tokenIds.length; ++i) {
            uint32 slot = slotOf(tokenIds[i]);
            if (slot != 0 && _read(slot, peers, count)) ++count;
        }
        checksum = _seal(peers, count);
        chainId = block.chainid;
    }

    /// @notice Who is entitled to a pass: its live ERC-4907 user, else its owner; zero when nobody is, or when
    /// the collection's answer cannot be read. A pass that has expired still has a holder.
    /// @param tokenId the pass
    function holderOf(uint256 tokenId) public view returns (address holder) {
        (holder,) = ForeignPass.holderOf(collection, tokenId, rentable);
    }

    /// @notice The delegate of a pass's holder, zero when there is none.
    /// @param tokenId the pass
    function delegateOf(uint256 tokenId) external view returns (address) {
        return _delegateOf(tokenId, holderOf(tokenId));
    }

    // ---------------------------------------------------------------- inside

    function _register(uint256 tokenId, bytes32 publicKey, address account) private {
        CurvePoints.check(publicKey);
        (address holder, address delegate) = _requireEntitled(tokenId, account);
        _releaseKey(publicKey, tokenId);
        uint32 slot = _bind(tokenId, publicKey, holder, delegate);
        emit KeyRegistered(tokenId, holder, publicKey, slot, delegate);
    }

    function _revoke(uint256 tokenId, address account) private {
        uint32 slot = _requireSlot(tokenId);
        Row storage row = _rows[slot];
        if (account != row.holder && !(row.delegated && account == row.delegate)) {
            address holder = holderOf(tokenId);
            if (account == address(0) || (account != holder && account != _delegateOf(tokenId, holder))) {
                revert NotHolder(tokenId, account, holder);
            }
        }
        _free(slot);
    }

    /// @dev Reverts unless the account may register the pass now. `delegate` is zero for the holder.
    function _requireEntitled(uint256 tokenId, address account)
        private
        view
        returns (address holder, address delegate)
    {
        holder = holderOf(tokenId);
        if (holder == address(0)) revert NotHolder(tokenId, account, holder);
        if (account != holder) {
            delegate = _delegateOf(tokenId, holder);
            if (account != delegate || account == address(0)) revert NotHolder(tokenId, account, holder);
        }
        if (expiring) {
            (bool ok, uint256 end) = ForeignPass.expiresAt(collection, tokenId);
            if (!ok) revert ExpiryUnreadable(tokenId);
            if (end != 0 && end <= block.timestamp) revert PassExpired(tokenId, end);
        }
    }

    /// @dev Makes sure that no other pass has the key: a binding of it that does not count is freed on the way.
    function _releaseKey(bytes32 publicKey, uint256 tokenId) private {
        uint32 slot = _slotOfKey[publicKey];
        if (slot == 0 || slot == slotOf(tokenId)) return;
        uint256 other = _tokenIdOf(_rows[slot]);
        (bool counts,,) = _counts(_rows[slot], other);
        if (counts) revert KeyTaken(publicKey, other);
        _free(slot);
    }

    function _delegateOf(uint256 tokenId, address holder) private view returns (address) {
        Delegation storage delegation = _delegations[tokenId];
        return holder != address(0) && delegation.holder == holder ? delegation.delegate : address(0);
    }

    function _requireSlot(uint256 tokenId) private view returns (uint32 slot) {
        slot = slotOf(tokenId);
        if (slot == 0) revert NoBinding(tokenId);
    }

    /// @dev Reads the binding in a slot into `peers[position]` if it counts.
    function _read(uint32 slot, Peer[] memory peers, uint256 position) private view returns (bool) {
        Row storage row = _rows[slot];
        if (row.holder == address(0)) return false;
        uint256 tokenId = _tokenIdOf(row);
        (bool counts, address holder, uint64 expires) = _counts(row, tokenId);
        if (counts) {
            Peer memory peer = peers[position];
            peer.tokenId = tokenId;
            peer.holder = holder;
            peer.publicKey = row.publicKey;
            peer.slot = slot;
            peer.expires = expires;
        }
        return counts;
    }

    /// @dev Cuts the array to what was found (its memory stays allocated) and hashes it.
    function _seal(Peer[] memory peers, uint256 count) private pure returns (bytes32) {
        assembly ("memory-safe") {
            mstore(peers, count)
        }
        return keccak256(abi.encode(peers));
    }

    /// @dev Whether a binding counts at this moment, for whom, and until when (0 for no end). Looks at the row
    /// first and asks the collection no more than it must: this is what a page's gas goes to.
    function _counts(Row storage row, uint256 tokenId)
        private
        view
        returns (bool counts, address holder, uint64 expires)
    {
        (address boundTo, bool delegated) = (row.holder, row.delegated);
        uint256 end;
        (holder, end) = ForeignPass.holderOf(collection, tokenId, rentable);
        if (holder == address(0) || holder != boundTo) return (false, holder, 0);
        if (delegated && _delegateOf(tokenId, holder) != row.delegate) return (false, holder, 0);
        // A foreign rental may end beyond what 64 bits hold: that is as good as never.
        if (end <= type(uint64).max) expires = uint64(end);
        if (expiring) {
            bool ok;
            (ok, end) = ForeignPass.expiresAt(collection, tokenId);
            if (!ok || (end != 0 && end <= block.timestamp)) return (false, holder, 0);
            if (end != 0 && (expires == 0 || end < expires)) expires = uint64(end);
        }
        return (true, holder, expires);
    }
}
