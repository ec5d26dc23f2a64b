// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {CurvePoints} from "./CurvePoints.sol";

/// @title The nodes of the network
/// @notice The operator (the owner of this contract) allows a node id to one account; that account announces the
/// node's WireGuard key, endpoint, region and TCP bridges; clients, bridges and other nodes read them here. What the
/// operator no longer allows disappears at once.
contract NodeRegistry is Ownable2Step {
    /// @notice A node as it announced itself.
    /// @param nodeId name of the node, chosen by the operator
    /// @param account the account that announces for it
    /// @param publicKey its WireGuard public key, in WireGuard's byte order
    /// @param endpoint where clients reach it, usually `host:port`
    /// @param region a label
    /// @param bridges where TCP bridges to it are reached, each usually `host:port`
    /// @param announcedAt time of the last announcement, UNIX time in seconds
    struct Node {
        string nodeId;
        address account;
        bytes32 publicKey;
        string endpoint;
        string region;
        string[] bridges;
        uint64 announcedAt;
    }

    /// @notice The operator allowed a node.
    event NodeAllowed(string nodeId, address indexed account);
    /// @notice The operator no longer allows a node.
    event NodeDisallowed(string nodeId, address indexed account);
    /// @notice A node announced itself.
    event NodeAnnounced(
        string nodeId, address indexed account, bytes32 publicKey, string endpoint, string region, string[] bridges
    );

    /// @notice A node needs an account.
    error ZeroAccount();
    /// @notice The operator does not allow this node.
    error NodeNotAllowed(string nodeId);
    /// @notice The operator allows this node to another account.
    error NotNodeAccount(string nodeId, address account);
    /// @notice Another node has announced this key.
    error NodeKeyTaken(bytes32 publicKey, string nodeId);
    /// @notice A text is too short or too long, in bytes.
    error BadLength(string field, uint256 length, uint256 least, uint256 most);
    /// @notice A text may hold only letters, digits and `. - _`; an endpoint and a bridge also `: [ ]`.
    error BadCharacter(string field, uint256 position);
    /// @notice A node may have only so many bridges.
    error TooManyBridges(uint256 count, uint256 most);

    /// @notice Longest node id, in bytes (as a DNS label).
    uint256 public constant MAX_NODE_ID = 63;
    /// @notice Longest endpoint, in bytes (a DNS name and a port).
    uint256 public constant MAX_ENDPOINT = 261;
    /// @notice Longest region, in bytes.
    uint256 public constant MAX_REGION = 63;
    /// @notice Most bridges of a node; each is at most as long as an endpoint.
    uint256 public constant MAX_BRIDGES = 8;

    Node[] private _nodes;
    /// @dev Position in `_nodes` plus one, by hash of the node id; 0 for a node that is not allowed.
    mapping(bytes32 idHash => uint256) private _position;
    /// @dev Hash of the node id that announced a key.
    mapping(bytes32 publicKey => bytes32) private _nodeOfKey;

    /// @param owner_ the operator: an argument because the contract is deployed through a proxy
    constructor(address owner_) Ownable(owner_) {}

    /// @notice Allows a node to an account. For a node that was allowed to another account, this withdraws what
    /// that account announced.
    /// @param nodeId name of the node: 1 to 63 letters, digits and `. - _`
    /// @param account who may announce it
    function allow(string calldata nodeId, address account) external onlyOwner {
        if (account == address(0)) revert ZeroAccount();
        _checkText("nodeId", nodeId, 1, MAX_NODE_ID, false);
        bytes32 idHash = keccak256(bytes(nodeId));
        uint256 position = _position[idHash];
        if (position == 0) {
            _nodes.push().nodeId = nodeId;
            position = _nodes.length;
            _position[idHash] = position;
        }
        Node storage node = _nodes[position - 1];
        if (node.account != account) {
            _withdraw(node);
            node.account = account;
        }
        emit NodeAllowed(nodeId, account);
    }

    /// @notice Takes a node off the list, at once.
    /// @param nodeId name of the node
    function disallow(string calldata nodeId) external onlyOwner {
        bytes32 idHash = keccak256(bytes(nodeId));
        uint256 position = _requirePosition(idHash, nodeId);
        Node storage node = _nodes[position - 1];
        address account = node.account;
        _withdraw(node);
        uint256 last = _nodes.length;
        if (position != last) {
            Node storage moved = _nodes[last - 1];
            _position[keccak256(bytes(moved.nodeId))] = position;
            _nodes[position - 1] = moved;
        }
        _nodes.pop();
        delete _position[idHash];
        emit NodeDisallowed(nodeId, account);
    }

    /// @notice Announces a node, or announces it anew. By the account the operator allowed.
    /// @param nodeId name of the node
    /// @param publicKey its WireGuard public key, in WireGuard's byte order; no other node may have it
    /// @param endpoint where clients reach it: 1 to 261 letters, digits and `. - _ : [ ]`
    /// @param region a label: 0 to 63 letters, digits and `. - _`
    /// @param bridges where TCP bridges to it are reached: 0 to 8, each as an endpoint
    function announce(
        string calldata nodeId,
        bytes32 publicKey,
        string calldata endpoint,
        string calldata region,
        string[] calldata bridges
    ) external {
        bytes32 idHash = keccak256(bytes(nodeId));
        Node storage node = _nodes[_requirePosition(idHash, nodeId) - 1];
        if (node.account != msg.sender) revert NotNodeAccount(nodeId, msg.sender);
        CurvePoints.check(publicKey);
        _checkText("endpoint", endpoint, 1, MAX_ENDPOINT, true);
        _checkText("region", region, 0, MAX_REGION, false);
        if (bridges.length > MAX_BRIDGES) revert TooManyBridges(bridges.length, MAX_BRIDGES);

        bytes32 other = _nodeOfKey[publicKey];
        if (other != 0 && other != idHash) revert NodeKeyTaken(publicKey, _nodes[_position[other] - 1].nodeId);
        if (node.publicKey != publicKey) {
            delete _nodeOfKey[node.publicKey];
            _nodeOfKey[publicKey] = idHash;
            node.publicKey = publicKey;
        }
        node.endpoint = endpoint;
        node.region = region;
        delete node.bridges;
        for (uint256 i = 0; i < bridges.length; ++i) {
            _checkText("bridges", bridges[i], 1, MAX_ENDPOINT, true);
            node.bridges.push(bridges[i]);
        }
        node.announcedAt = uint64(block.timestamp);
        emit NodeAnnounced(nodeId, msg.sender, publicKey, endpoint, region, bridges);
    }

    /// @notice The announced nodes among positions [cursor, cursor + limit) of the allow-list.
    /// @param cursor first position
    /// @param limit how many positions, at most
    /// @return page the nodes there that announced themselves
    /// @return next first position not looked at; equal to `total` at the end
    /// @return total length of the allow-list
    /// @return checksum `keccak256(abi.encode(page))`, to notice a truncated answer
    /// @return chainId id of this chain
    function nodes(uint256 cursor, uint256 limit)
        external
        view
        returns (Node[] memory page, uint256 next, uint256 total, bytes32 checksum, uint256 chainId)
    {
        total = _nodes.length;
        if (cursor > total) cursor = total;
        next = limit < total - cursor ? cursor + limit : total;
        page = new Node[](next - cursor);
        uint256 count;
        for (uint256 i = cursor; i < next; ++i) {
            if (_nodes[i].announcedAt != 0) page[count++] = _nodes[i];
        }
        assembly ("memory-safe") {
            mstore(page, count)
        }
        checksum = keccak256(abi.encode(page));
        chainId = block.chainid;
    }

    /// @notice Which account may announce a node, zero when the operator does not allow the node.
    /// @param nodeId name of the node
    function accountOf(string calldata nodeId) external view returns (address) {
        uint256 position = _position[keccak256(bytes(nodeId))];
        return position == 0 ? address(0) : _nodes[position - 1].account;
    }

    function _requirePosition(bytes32 idHash, string calldata nodeId) private view returns (uint256 position) {
        position = _position[idHash];
        if (position == 0) revert NodeNotAllowed(nodeId);
    }

    /// @dev Forgets what a node announced; it stays allowed.
    function _withdraw(Node storage node) private {
        delete _nodeOfKey[node.publicKey];
        delete node.publicKey;
        delete node.endpoint;
        delete node.region;
        delete node.bridges;
        delete node.announcedAt;
    }

    /// @dev These texts end in configuration files and on web pages, so only harmless characters are taken.
    function _checkText(string memory field, string calldata text, uint256 least, uint256 most, bool endpoint)
        private
        pure
    {
        bytes calldata raw = bytes(text);
        if (raw.length < least || raw.length > most) revert BadLength(field, raw.length, least, most);
        for (uint256 i = 0; i < raw.length; ++i) {
            bytes1 c = raw[i];
            bool plain = (c >= "a" && c <= "z") || (c >= "A" && c <= "Z") || (c >= "0" && c <= "9") || c == "."
                || c == "-" || c == "_";
            if (!plain && !(endpoint && (c == ":" || c == "[" || c == "]"))) revert BadCharacter(field, i);
        }
    }
}
