package main

import (
	"context"
	"encoding/binary"
	"net"
	"syscall"
	"time"
	"unsafe"
)

const (
	soMark          = 36
	tcpUserTimeout  = 18
	tcpNotsentLowat = 25
	notsentBytes    = 256 << 10
	tcpInfoBytes    = 152
	tcpKeepIdle     = 30 * time.Second
	tcpKeepInterval = 10 * time.Second
	tcpKeepCount    = 3
)

// tcpOptions are what a user may set on the TCP sockets; zero leaves the system's.
type tcpOptions struct {
	noDelay     bool
	mark        int
	receive     int
	send        int
	userTimeout time.Duration
}

// control is for net.Dialer and net.ListenConfig: before the socket connects or listens, since the mark decides its
// route and the buffers its window. Accepted sockets inherit both.
func (o tcpOptions) control(_, _ string, raw syscall.RawConn) error {
	var failure error
	err := raw.Control(func(fd uintptr) {
		set := func(level, option, value int, name string) {
			if err := syscall.SetsockoptInt(int(fd), level, option, value); err != nil && failure == nil {
				failure = &net.OpError{Op: "set " + name, Net: "tcp", Err: err}
			}
		}
		if o.mark != 0 {
			set(syscall.SOL_SOCKET, soMark, o.mark, "SO_MARK (needs NET_ADMIN)")
		}
		if o.receive != 0 {
			set(syscall.SOL_SOCKET, syscall.SO_RCVBUF, o.receive, "SO_RCVBUF")
		}
		if o.send != 0 {
			set(syscall.SOL_SOCKET, syscall.SO_SNDBUF, o.send, "SO_SNDBUF")
		}
		set(syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1, "SO_REUSEADDR")
	})
	if err != nil {
		return err
	}
	return failure
}

// apply sets what a connected socket needs.
func (o tcpOptions) apply(conn *net.TCPConn) error {
	if err := conn.SetNoDelay(o.noDelay); err != nil {
		return err
	}
	if err := conn.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: true, Idle: tcpKeepIdle, Interval: tcpKeepInterval, Count: tcpKeepCount,
	}); err != nil {
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) {
		// Data that nobody acknowledges ends the connection; and little waits inside the kernel, so that it is our
		// queue that drops the oldest.  Neither is in the way of forwarding where it cannot be set.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(o.userTimeout.Milliseconds()))
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, notsentBytes)
	})
}

func (o tcpOptions) dial(ctx context.Context, address string, within time.Duration) (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: within, Control: o.control, KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn)
	if err := o.apply(tcp); err != nil {
		_ = tcp.Close()
		return nil, err
	}
	return tcp, nil
}

// tcpInfo is what TCP_INFO says of a connection.
type tcpInfo struct {
	RTT         float64 `json:"rtt"`    // milliseconds, smoothed
	Variance    float64 `json:"rttVar"` // milliseconds
	Least       float64 `json:"rttMin"` // milliseconds
	Retransmits uint32  `json:"retransmits"`
	Unacked     uint32  `json:"unacked"` // segments
	Window      uint32  `json:"congestionWindow"`
	MSS         uint32  `json:"mss"`
	Acked       uint64  `json:"-"`
}

// readInfo asks the kernel; offsets as in struct tcp_info of linux/tcp.h.
func readInfo(conn *net.TCPConn) (info tcpInfo, ok bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return info, false
	}
	var bytes [tcpInfoBytes]byte
	length := uint32(len(bytes))
	err = raw.Control(func(fd uintptr) {
		_, _, failure := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(unsafe.Pointer(&bytes[0])), uintptr(unsafe.Pointer(&length)), 0)
		ok = failure == 0 && length == tcpInfoBytes
	})
	if err != nil || !ok {
		return info, false
	}
	word := func(at int) uint32 { return binary.NativeEndian.Uint32(bytes[at:]) }
	return tcpInfo{
		RTT:         float64(word(68)) / 1000,
		Variance:    float64(word(72)) / 1000,
		Least:       float64(word(148)) / 1000,
		Retransmits: word(100),
		Unacked:     word(24),
		Window:      word(80),
		MSS:         word(16),
		Acked:       binary.NativeEndian.Uint64(bytes[120:]),
	}, true
}
