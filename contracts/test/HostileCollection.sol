// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A collection that answers as it is told, question by question and token by token
/// @dev For tests. The words asked for are the raw first words of the answers, so they can be malformed.
contract HostileCollection {
    enum Mood {
        Honest,
        Revert,
        RevertLoudly, // with as much revert data as the gas allows
        BurnGas,
        Megabytes,
        Flood, // as many bytes as the gas allows, after an honest first word
        Short, // 31 bytes
        Nothing,
        Hungry // an honest answer that needs nearly all of the gas it is given
    }

    mapping(bytes4 question => mapping(uint256 tokenId => bytes32)) private _words;
    mapping(bytes4 question => mapping(uint256 tokenId => Mood)) private _moods;
    mapping(bytes4 interfaceId => bool) private _interfaces;

    /// @param interfaceIds the interfaces it says it has
    constructor(bytes4[] memory interfaceIds) {
        for (uint256 i = 0; i < interfaceIds.length; ++i) {
            _interfaces[interfaceIds[i]] = true;
        }
    }

    function answer(bytes4 question, uint256 tokenId, bytes32 word) external {
        _words[question][tokenId] = word;
    }

    function turn(bytes4 question, uint256 tokenId, Mood mood) external {
        _moods[question][tokenId] = mood;
    }

    function supportsInterface(bytes4 interfaceId) external view returns (bool) {
        return _interfaces[interfaceId];
    }

    fallback() external {
        uint256 tokenId = abi.decode(msg.data[4:], (uint256));
        bytes32 word = _words[msg.sig][tokenId];
        Mood mood = _moods[msg.sig][tokenId];
        uint256 size = 0x20;
        uint256 gas = gasleft();
        if (mood == Mood.Revert) revert("no");
        if (mood == Mood.BurnGas) while (true) {}
        if (mood == Mood.Megabytes) size = 0x400000;
        if (mood == Mood.Flood) size = 0x10000; // 64 KiB of memory cost 14k gas
        if (mood == Mood.Hungry) while (gas - gasleft() < 34_000) {}
        if (mood == Mood.Short) size = 0x1f;
        if (mood == Mood.Nothing) size = 0;
        if (mood == Mood.RevertLoudly) {
            assembly {
                revert(0, 0x10000)
            }
        }
        assembly {
            mstore(0, word)
            return(0, size)
        }
    }
}

/// @title A collection that is gone
/// @dev For tests. A contract that destroys itself in the transaction that created it leaves no code (EIP-6780), so
/// one transaction does all: the collection, its registry, a binding, and the end of the collection.
contract VanishingCollection {
    address public immutable registry;

    constructor(bytes memory registryCode, bytes32 publicKey) {
        Ephemeral collection = new Ephemeral(address(this));
        bytes memory code = bytes.concat(registryCode, abi.encode(address(collection), false, uint64(0)));
        address made;
        assembly {
            made := create(0, add(code, 0x20), mload(code))
        }
        require(made != address(0), "no registry");
        registry = made;
        IRegister(made).register(1, publicKey);
        collection.end();
    }
}

interface IRegister {
    function register(uint256 tokenId, bytes32 publicKey) external;
}

contract Ephemeral {
    address private immutable _owner;

    constructor(address owner) {
        _owner = owner;
    }

    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == 0x80ac58cd;
    }

    function ownerOf(uint256) external view returns (address) {
        return _owner;
    }

    function end() external {
        // The opcode itself: Solidity warns about selfdestruct, and the point here is what it leaves behind.
        assembly {
            selfdestruct(0)
        }
    }
}
