// What berth's node asks of a running wireguard-go beyond the configuration protocol, in time that does not grow
// with the number of peers, or outside the caller's process.
//
// This file is put into package device of the module when the image is built (see the Dockerfile), because peers
// and their allowed IPs are private to that package.  It changes nothing that is there.

package device

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.zx2c4.com/wireguard/ipc"
)

const (
	// A session is worth remembering while its keys may be in use.
	sessionAge = RejectAfterTime
	// Whoever changes peers waits for a look at the peers of so many first bytes, of 256, and no longer ...
	slice = 8
	// ... and has the processor in between: on a small machine a long look would take it from the change.
	breath = time.Millisecond
)

// BerthHandle serves a connection of the control socket: get and set as IpcHandle does, and
//
//	peers=1        and lines public_key=<hex> and allowed_ip=<prefix>, each answered by the peer that has it
//	fingerprint=1  256 lines part=<hash>, over the peers whose key begins with this byte and their allowed IPs
//	traffic=1      peers=<how many there are>, and handshake and bytes of each peer that was ever heard of
//	sessions=1     key and endpoint of each peer with a live session
//	device=1       the version given, and the interface's own public key and port
//
// Each operation ends with a blank line, each answer with errno=<n> and a blank line.
func (device *Device) BerthHandle(socket net.Conn, version string) {
	defer socket.Close()
	reader, writer := bufio.NewReader(socket), bufio.NewWriter(socket)
	for {
		operation, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		operation = strings.TrimSuffix(operation, "\n")
		if operation == "set=1" {
			err = device.IpcSetOperation(reader)
		} else {
			var lines []string
			if lines, err = readLines(reader); err != nil {
				return
			}
			err = device.answer(operation, lines, writer, version)
		}
		code := int64(0)
		if err != nil {
			code = int64(ipc.IpcErrorUnknown)
			var status *IPCError
			if errors.As(err, &status) {
				code = status.ErrorCode()
			}
			device.log.Errorf("%s: %v", operation, err)
		}
		fmt.Fprintf(writer, "errno=%d\n\n", code)
		if writer.Flush() != nil {
			return
		}
	}
}

func readLines(reader *bufio.Reader) ([]string, error) {
	var lines []string
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if line == "\n" {
			return lines, nil
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
}

func (device *Device) answer(operation string, lines []string, writer io.Writer, version string) error {
	switch operation {
	case "peers=1":
		return device.writePeers(lines, writer)
	case "get=1", "fingerprint=1", "traffic=1", "sessions=1", "device=1":
		if len(lines) != 0 {
			return ipcErrorf(ipc.IpcErrorInvalid, "%s takes no lines, got %d", operation, len(lines))
		}
	default:
		return ipcErrorf(ipc.IpcErrorInvalid, "unknown operation")
	}
	switch operation {
	case "get=1":
		return device.IpcGetOperation(writer)
	case "fingerprint=1":
		device.writeFingerprint(writer)
	case "traffic=1":
		device.writeTraffic(writer)
	case "sessions=1":
		device.writeSessions(writer)
	case "device=1":
		device.writeDevice(writer, version)
	}
	return nil
}

// writePeers shows the peers that lines ask for, each once, in the format of get.  A key that is no peer, or a
// prefix that nobody has, is answered by nothing.
func (device *Device) writePeers(lines []string, writer io.Writer) error {
	device.ipcMutex.RLock()
	defer device.ipcMutex.RUnlock()
	seen := make(map[*Peer]bool)
	var buffer bytes.Buffer
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		var peer *Peer
		switch name {
		case "public_key":
			var key NoisePublicKey
			if err := key.FromHex(value); err != nil {
				return ipcErrorf(ipc.IpcErrorInvalid, "not a public key: %w", err)
			}
			peer = device.LookupPeer(key)
		case "allowed_ip":
			prefix, err := netip.ParsePrefix(value)
			if err != nil {
				return ipcErrorf(ipc.IpcErrorInvalid, "not a prefix: %w", err)
			}
			peer = device.allowedips.holder(prefix)
		default:
			return ipcErrorf(ipc.IpcErrorInvalid, "peers=1 takes public_key and allowed_ip, not %q", name)
		}
		if peer != nil && !seen[peer] {
			seen[peer] = true
			device.writePeer(peer, &buffer)
		}
	}
	_, err := writer.Write(buffer.Bytes())
	return err
}

func (device *Device) writePeer(peer *Peer, buffer *bytes.Buffer) {
	peer.handshake.mutex.RLock()
	key, preshared := peer.handshake.remoteStatic, peer.handshake.presharedKey
	peer.handshake.mutex.RUnlock()
	handshake := time.Unix(0, peer.lastHandshakeNano.Load())
	fmt.Fprintf(buffer, "public_key=%x\npreshared_key=%x\n", key[:], preshared[:])
	if endpoint := peer.destination(); endpoint != "" {
		fmt.Fprintf(buffer, "endpoint=%s\n", endpoint)
	}
	fmt.Fprintf(buffer, "last_handshake_time_sec=%d\n", handshake.Unix())
	fmt.Fprintf(buffer, "tx_bytes=%d\nrx_bytes=%d\n", peer.txBytes.Load(), peer.rxBytes.Load())
	fmt.Fprintf(buffer, "persistent_keepalive_interval=%d\n", peer.persistentKeepaliveInterval.Load())
	device.allowedips.EntriesForPeer(peer, func(prefix netip.Prefix) bool {
		fmt.Fprintf(buffer, "allowed_ip=%s\n", prefix)
		return true
	})
}

func (device *Device) writeSessions(writer io.Writer) {
	device.ipcMutex.RLock()
	defer device.ipcMutex.RUnlock()
	after := time.Now().Add(-sessionAge).UnixNano()
	for _, peer := range device.allPeers() {
		if peer.lastHandshakeNano.Load() < after {
			continue
		}
		if endpoint := peer.destination(); endpoint != "" {
			fmt.Fprintf(writer, "public_key=%x\nendpoint=%s\n", peer.handshake.remoteStatic[:], endpoint)
		}
	}
}

func (device *Device) writeDevice(writer io.Writer, version string) {
	device.net.RLock()
	port := device.net.port
	device.net.RUnlock()
	device.staticIdentity.RLock()
	public := device.staticIdentity.publicKey
	device.staticIdentity.RUnlock()
	fmt.Fprintf(writer, "version=%s\npublic_key=%x\nlisten_port=%d\n", version, public[:], port)
}

// writeTraffic takes no lock that a change waits for but while it notes who there is.
func (device *Device) writeTraffic(writer io.Writer) {
	peers := device.allPeers()
	fmt.Fprintf(writer, "peers=%d\n", len(peers))
	for _, peer := range peers {
		handshake, sent, received := peer.lastHandshakeNano.Load(), peer.txBytes.Load(), peer.rxBytes.Load()
		if handshake == 0 && sent == 0 && received == 0 {
			continue
		}
		fmt.Fprintf(writer, "public_key=%x\nlast_handshake_time_sec=%d\n", peer.handshake.remoteStatic[:],
			time.Unix(0, handshake).Unix())
		fmt.Fprintf(writer, "tx_bytes=%d\nrx_bytes=%d\n", sent, received)
	}
}

// What the fingerprint holds of a peer; its prefixes are those from and to these places.
type outline struct {
	key       NoisePublicKey
	from, to  int
	preshared bool
}

// writeFingerprint gives a hash for each first byte of a key: over the lines of its peers, sorted.  A line is the key
// in hex, the prefixes in the order of their text, and " psk" where there is a preshared key.  A caller who keeps the
// 256 can say what they should be after a change of one peer without looking at all, and compares each by itself:
// each was right at one moment, though not all at the same.  Memory is used again, so that asking often does not
// mean collecting garbage often, which takes long where there are thousands of peers.
func (device *Device) writeFingerprint(writer io.Writer) {
	var peers []outline
	var prefixes []netip.Prefix
	var line, text []byte
	for first := 0; first < 256; first += slice {
		peers, prefixes = device.outlines(first, first+slice, peers[:0], prefixes[:0])
		slices.SortFunc(peers, func(a, b outline) int { return bytes.Compare(a.key[:], b.key[:]) })
		at := 0
		for part := first; part < first+slice; part++ {
			text = text[:0]
			for ; at < len(peers) && int(peers[at].key[0]) == part; at++ {
				line = peers[at].appendLine(line[:0], prefixes)
				text = append(text, line...)
			}
			fmt.Fprintf(writer, "part=%x\n", sha256.Sum256(text))
		}
		time.Sleep(breath)
	}
}

func (peer outline) appendLine(line []byte, prefixes []netip.Prefix) []byte {
	line = append(hex.AppendEncode(line, peer.key[:]), ' ')
	if own := prefixes[peer.from:peer.to]; len(own) == 1 {
		line = own[0].AppendTo(line)
	} else {
		texts := make([]string, len(own))
		for i, prefix := range own {
			texts[i] = prefix.String()
		}
		slices.Sort(texts)
		line = append(line, strings.Join(texts, ",")...)
	}
	if peer.preshared {
		line = append(line, " psk"...)
	}
	return append(line, '\n')
}

// outlines takes the peers whose keys begin with these bytes at one moment.
func (device *Device) outlines(first, end int, peers []outline, prefixes []netip.Prefix) ([]outline, []netip.Prefix) {
	device.ipcMutex.RLock()
	defer device.ipcMutex.RUnlock()
	device.peers.RLock()
	defer device.peers.RUnlock()
	for key, peer := range device.peers.keyMap {
		if int(key[0]) < first || int(key[0]) >= end {
			continue
		}
		one := outline{key: key, from: len(prefixes)}
		device.allowedips.EntriesForPeer(peer, func(prefix netip.Prefix) bool {
			prefixes = append(prefixes, prefix)
			return true
		})
		one.to = len(prefixes)
		peer.handshake.mutex.RLock()
		one.preshared = peer.handshake.presharedKey != NoisePresharedKey{}
		peer.handshake.mutex.RUnlock()
		peers = append(peers, one)
	}
	return peers, prefixes
}

func (device *Device) allPeers() []*Peer {
	device.peers.RLock()
	defer device.peers.RUnlock()
	peers := make([]*Peer, 0, len(device.peers.keyMap))
	for _, peer := range device.peers.keyMap {
		peers = append(peers, peer)
	}
	return peers
}

func (peer *Peer) destination() string {
	peer.endpoint.Lock()
	defer peer.endpoint.Unlock()
	if peer.endpoint.val == nil {
		return ""
	}
	return peer.endpoint.val.DstToString()
}

// holder is the peer that has exactly this prefix, nil where none has.
func (table *AllowedIPs) holder(prefix netip.Prefix) *Peer {
	table.mutex.RLock()
	defer table.mutex.RUnlock()
	root := table.IPv4
	if prefix.Addr().Is6() {
		root = table.IPv6
	}
	node, exact := root.nodePlacement(prefix.Addr().AsSlice(), uint8(prefix.Bits()))
	if !exact {
		return nil
	}
	return node.peer
}
