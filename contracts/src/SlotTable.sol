// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DoubleEndedQueue} from "@openzeppelin/contracts/utils/structs/DoubleEndedQueue.sol";

/// @title Slots, and what is bound to them
/// @notice A table of bindings token -> (key, holder, slot), with no opinion on who may do what.
///
/// Slots count up from 1. A freed slot rests for `quarantine` seconds before it is given to anyone, so that a
/// node whose list is a little old never gives the old holder's address to the new one; then the slot that has
/// rested longest is used first, and a fresh slot is taken only when none has rested long enough. Row `i` of the
/// list belongs to slot `i + 1` for ever, so there are only as many rows as bindings and resting slots at the
/// busiest moment there ever was, and one token can keep at most twice {MAX_SLOTS} of them busy: those taken at the
/// end of one quarantine rest while it takes as many at the start of the next.
abstract contract SlotTable {
    using DoubleEndedQueue for DoubleEndedQueue.Bytes32Deque;

    /// @dev Two storage words in the usual case, because a page reads every row cold: `tokenId` holds ids
    /// below 2^80, any longer id is in `longTokenId`; `delegate` is read only when `delegated`.
    struct Row {
        address holder; // zero: nothing is bound to this slot
        uint80 tokenId;
        bool longId;
        bool delegated;
        bytes32 publicKey;
        address delegate;
        uint256 longTokenId;
    }

    /// @dev What a token has of this table, in one storage word.
    struct Tenancy {
        uint32 slot; // 0 without a binding
        uint32 taken; // slots taken since `since`
        uint64 since; // UNIX time in seconds
    }

    /// @notice A binding ended: revoked, reclaimed, or replaced because the pass or the key went to another holder.
    event KeyRevoked(uint256 indexed tokenId, address indexed holder, bytes32 indexed publicKey, uint32 slot);
    /// @notice A slot is resting.
    /// @param availableAt from when on it may be given out again, UNIX time in seconds
    event SlotFreed(uint32 indexed slot, uint64 availableAt);

    /// @notice The pass took {MAX_SLOTS} slots within one quarantine; only changing the key needs no new slot.
    error TooManySlots(uint256 tokenId, uint256 retryAt);
    /// @notice A quarantine longer than 2^32 - 1 seconds would never end.
    error QuarantineTooLong(uint64 quarantine);

    /// @notice How many slots a pass may take within one quarantine. Without a limit, one pass sent to and fro
    /// could use up the tunnel's addresses and make the list longer for ever.
    uint32 public constant MAX_SLOTS = 8;

    /// @notice How long a freed slot rests, in seconds.
    uint64 public immutable quarantine;

    /// @dev Highest slot ever given out: the number of rows.
    uint32 internal _slots;
    mapping(uint32 slot => Row) internal _rows;
    mapping(uint256 tokenId => Tenancy) private _tenancies;
    /// @dev 0 for a key that is bound to nothing.
    mapping(bytes32 publicKey => uint32) internal _slotOfKey;
    /// @dev Resting slots, the longest-resting first. A word is `availableAt << 32 | slot`.
    DoubleEndedQueue.Bytes32Deque private _resting;

    constructor(uint64 quarantine_) {
        if (quarantine_ > type(uint32).max) revert QuarantineTooLong(quarantine_);
        quarantine = quarantine_;
    }

    /// @notice The slot of a pass's binding, whether it counts or not; 0 without a binding.
    /// @param tokenId the pass
    function slotOf(uint256 tokenId) public view returns (uint32) {
        return _tenancies[tokenId].slot;
    }

    /// @notice The pass that a key is bound to, whether that binding counts or not.
    /// @param publicKey the key
    /// @return bound false when the key is bound to none
    /// @return tokenId the pass
    function tokenOf(bytes32 publicKey) external view returns (bool bound, uint256 tokenId) {
        uint32 slot = _slotOfKey[publicKey];
        return slot == 0 ? (false, 0) : (true, _tokenIdOf(_rows[slot]));
    }

    /// @dev Binds a key to a token. The same holder keeps the slot; another one gets another slot, and the old
    /// one rests. The key must be bound to no other token.
    function _bind(uint256 tokenId, bytes32 publicKey, address holder, address delegate)
        internal
        returns (uint32 slot)
    {
        slot = slotOf(tokenId);
        if (slot != 0 && _rows[slot].holder == holder) {
            delete _slotOfKey[_rows[slot].publicKey];
        } else {
            uint32 old = slot;
            // Taken before the old one is freed, so that it is another one even without quarantine.
            slot = _takeSlot(tokenId);
            if (old != 0) _free(old);
            _tenancies[tokenId].slot = slot;
        }
        _slotOfKey[publicKey] = slot;
        Row storage row = _rows[slot];
        bool longId = tokenId > type(uint80).max;
        row.holder = holder;
        row.tokenId = longId ? 0 : uint80(tokenId);
        row.longId = longId;
        row.delegated = delegate != address(0);
        row.publicKey = publicKey;
        row.delegate = delegate;
        if (longId) row.longTokenId = tokenId;
    }

    /// @dev Ends the binding in a slot and lets the slot rest.
    function _free(uint32 slot) internal {
        Row storage row = _rows[slot];
        uint256 tokenId = _tokenIdOf(row);
        emit KeyRevoked(tokenId, row.holder, row.publicKey, slot);
        _tenancies[tokenId].slot = 0;
        delete _slotOfKey[row.publicKey];
        delete _rows[slot];
        uint256 availableAt = block.timestamp + quarantine;
        _resting.pushBack(bytes32(availableAt << 32 | slot));
        emit SlotFreed(slot, uint64(availableAt));
    }

    function _tokenIdOf(Row storage row) internal view returns (uint256) {
        (bool longId, uint256 tokenId) = (row.longId, row.tokenId);
        return longId ? row.longTokenId : tokenId;
    }

    function _takeSlot(uint256 tokenId) private returns (uint32 slot) {
        Tenancy storage tenancy = _tenancies[tokenId];
        uint256 windowEnd = uint256(tenancy.since) + quarantine;
        if (block.timestamp >= windowEnd) {
            (tenancy.since, tenancy.taken) = (uint64(block.timestamp), 1);
        } else {
            if (tenancy.taken == MAX_SLOTS) revert TooManySlots(tokenId, windowEnd);
            ++tenancy.taken;
        }
        if (!_resting.empty()) {
            uint256 word = uint256(_resting.front());
            if (word >> 32 <= block.timestamp) {
                _resting.popFront();
                return uint32(word);
            }
        }
        return ++_slots;
    }
}
