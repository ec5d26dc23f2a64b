package main

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// Linux's segmentation offload for UDP: one call carries many datagrams of one length, in and out. WireGuard sends and
// takes such batches too, so a batch crosses between it and the bridge as one.
const (
	solUDP       = 17
	udpSegment   = 103
	udpGRO       = 104
	mostSegments = 64
	readBytes    = 65535
	readsAtOnce  = 4 // batches that are read before the queue is told
)

var readBuffers = sync.Pool{New: func() any { return new([readBytes]byte) }}

// udpSocket is one UDP socket that reads and writes batches.
type udpSocket struct {
	conn      *net.UDPConn
	raw       syscall.RawConn
	connected bool
	mu        sync.Mutex
	control   [24]byte // the segment length for a write; holds one cmsghdr and a u16, as on 64-bit Linux
	offload   bool
}

func newUDPSocket(conn *net.UDPConn, connected bool, bufferBytes int) (*udpSocket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &udpSocket{conn: conn, raw: raw, connected: connected}
	// What is not granted is done without: a smaller buffer, single datagrams.
	_ = conn.SetReadBuffer(bufferBytes)
	_ = conn.SetWriteBuffer(bufferBytes)
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), solUDP, udpGRO, 1)
		s.offload = syscall.SetsockoptInt(int(fd), solUDP, udpSegment, 0) == nil
	})
	return s, nil
}

// read waits for datagrams and hands each batch on: bytes of datagrams of segment length, the last one perhaps
// shorter. No buffer is held while it waits. Returns after at most readsAtOnce batches.
func (s *udpSocket) read(take func(from netip.AddrPort, batch []byte, segment int)) error {
	var failure error
	err := s.raw.Read(func(fd uintptr) bool {
		buffer := readBuffers.Get().(*[readBytes]byte)
		defer readBuffers.Put(buffer)
		var control [64]byte
		for got := 0; got < readsAtOnce; got++ {
			n, controlled, flags, from, err := syscall.Recvmsg(int(fd), buffer[:], control[:], 0)
			switch {
			case err == syscall.EAGAIN:
				return got > 0
			case err == syscall.EINTR:
				continue
			case err == syscall.ECONNREFUSED && s.connected:
				// Nobody listens at the target now; it may again, so this is no end.
				continue
			case err != nil:
				failure = err
				return true
			case n == 0 || flags&syscall.MSG_TRUNC != 0:
				continue
			}
			take(addressOf(from), buffer[:n], segmentOf(control[:controlled], n))
		}
		return true
	})
	if failure != nil {
		return failure
	}
	return err
}

// write sends a batch; where the route takes no batches, one by one. Returns how many datagrams could not be sent, and
// the last reason. That is never the end of a socket: the target may be back for the next one.
func (s *udpSocket) write(to netip.AddrPort, batch []byte, segment int) (lost int, reason error) {
	if s.offload && segment < len(batch) {
		s.mu.Lock()
		binary.NativeEndian.PutUint64(s.control[0:], uint64(syscall.CmsgLen(2)))
		binary.NativeEndian.PutUint32(s.control[8:], solUDP)
		binary.NativeEndian.PutUint32(s.control[12:], udpSegment)
		binary.NativeEndian.PutUint16(s.control[16:], uint16(segment))
		err := s.send(to, batch, s.control[:])
		s.mu.Unlock()
		switch {
		case err == nil:
			return 0, nil
		case errors.Is(err, syscall.EIO):
			s.offload = false // the device cannot
		case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EMSGSIZE):
			// Longer than the route's MTU: such datagrams are fragmented, which goes one by one only.
		}
	}
	for len(batch) > 0 {
		size := min(segment, len(batch))
		if err := s.send(to, batch[:size], nil); err != nil {
			if errors.Is(err, net.ErrClosed) {
				return lost, err
			}
			lost++
			reason = err
		}
		batch = batch[size:]
	}
	return lost, reason
}

func (s *udpSocket) send(to netip.AddrPort, bytes, control []byte) error {
	if !s.connected {
		_, _, err := s.conn.WriteMsgUDPAddrPort(bytes, control, to)
		return err
	}
	_, _, err := s.conn.WriteMsgUDP(bytes, control, nil)
	if errors.Is(err, syscall.ECONNREFUSED) {
		// That was said of an earlier datagram, and kept this one.
		_, _, err = s.conn.WriteMsgUDP(bytes, control, nil)
	}
	return err
}

func (s *udpSocket) close() { _ = s.conn.Close() }

// segmentOf finds the segment length that the kernel gives with a batch; a single datagram has none.
func segmentOf(control []byte, whole int) int {
	if len(control) == 0 {
		return whole
	}
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return whole
	}
	for _, message := range messages {
		if message.Header.Level == solUDP && message.Header.Type == udpGRO && len(message.Data) >= 4 {
			if segment := int(binary.NativeEndian.Uint32(message.Data)); segment > 0 {
				return min(segment, whole)
			}
		}
	}
	return whole
}

func addressOf(from syscall.Sockaddr) netip.AddrPort {
	switch from := from.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(from.Addr), uint16(from.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(from.Addr).Unmap(), uint16(from.Port))
	}
	return netip.AddrPort{}
}
