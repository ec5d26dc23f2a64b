package main

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"unsafe"
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

	tryRead  func(uintptr) bool
	take     func(from netip.AddrPort, batch []byte, segment int)
	failure  error
	vector   syscall.Iovec
	message  syscall.Msghdr
	name     syscall.RawSockaddrAny
	received [64]byte
}

func newUDPSocket(conn *net.UDPConn, connected bool, bufferBytes int) (*udpSocket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &udpSocket{conn: conn, raw: raw, connected: connected}
	s.tryRead = s.readAll
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
// shorter. No buffer is held while it waits. Returns after at most readsAtOnce batches. One goroutine reads a socket.
func (s *udpSocket) read(take func(from netip.AddrPort, batch []byte, segment int)) error {
	s.take, s.failure = take, nil
	if err := s.raw.Read(s.tryRead); s.failure == nil {
		return err
	}
	return s.failure
}

func (s *udpSocket) readAll(fd uintptr) bool {
	buffer := readBuffers.Get().(*[readBytes]byte)
	defer readBuffers.Put(buffer)
	for got := 0; got < readsAtOnce; got++ {
		s.vector = syscall.Iovec{Base: &buffer[0], Len: readBytes}
		s.message = syscall.Msghdr{
			Name: (*byte)(unsafe.Pointer(&s.name)), Namelen: syscall.SizeofSockaddrAny, Iov: &s.vector, Iovlen: 1,
			Control: &s.received[0], Controllen: uint64(len(s.received)),
		}
		n, _, err := syscall.Syscall(syscall.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&s.message)), 0)
		switch {
		case err == syscall.EAGAIN:
			return got > 0
		case err == syscall.EINTR:
			continue
		case err == syscall.ECONNREFUSED && s.connected:
			// Nobody listens at the target now; it may again, so this is no end.
			continue
		case err != 0:
			s.failure = err
			return true
		case n == 0 || s.message.Flags&syscall.MSG_TRUNC != 0:
			continue
		}
		var from netip.AddrPort
		if !s.connected {
			from = s.sender()
		}
		s.take(from, buffer[:n], segmentOf(s.received[:s.message.Controllen], int(n)))
	}
	return true
}

// sender is who sent what was read last.
func (s *udpSocket) sender() netip.AddrPort {
	bytes := (*[syscall.SizeofSockaddrAny]byte)(unsafe.Pointer(&s.name))
	port := binary.BigEndian.Uint16(bytes[2:])
	if s.name.Addr.Family == syscall.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(bytes[4:8])), port)
	}
	ip := netip.AddrFrom16([16]byte(bytes[8:24])).Unmap()
	if scope := binary.NativeEndian.Uint32(bytes[24:]); scope != 0 && ip.Is6() {
		ip = ip.WithZone(strconv.FormatUint(uint64(scope), 10))
	}
	return netip.AddrPortFrom(ip, port)
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
	if len(control) < syscall.CmsgLen(4) {
		return whole
	}
	// One control message alone was asked for, so it is the first: its length, level, type, and then an int.
	header := syscall.CmsgLen(0)
	level, kind := binary.NativeEndian.Uint32(control[header-8:]), binary.NativeEndian.Uint32(control[header-4:])
	segment := int(binary.NativeEndian.Uint32(control[header:]))
	if level != solUDP || kind != udpGRO || segment <= 0 {
		return whole
	}
	return min(segment, whole)
}
