package main

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"
)

const soon = 5 * time.Second

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("%s: not within %v", what, soon)
}

func quiet() (*slog.Logger, *redactor) {
	redact, _ := newRedactor(true)
	return slog.New(slog.NewTextHandler(io.Discard, nil)), redact
}

// echo answers each datagram with itself.
func echo(t testing.TB) string {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buffer := make([]byte, 65536)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(buffer[:n], from)
		}
	}()
	return conn.LocalAddr().String()
}

func freePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

type runningServer struct {
	*server
	address string
	stop    func()
}

func startServerEnd(t testing.TB, target string, change func(*serverOptions)) *runningServer {
	t.Helper()
	options := serverOptions{
		listen: []string{freePort(t)}, target: target, most: 100, mostOfAddress: 100, queueBytes: 1 << 20,
		udpBuffer: 1 << 20, limits: limits{receive: time.Minute, first: time.Minute, frame: time.Minute, send: time.Minute},
		tcp: tcpOptions{noDelay: true, userTimeout: time.Minute},
	}
	if change != nil {
		change(&options)
	}
	log, redact := quiet()
	made, err := newServer(options, log, redact)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- made.run(ctx) }()
	once := false
	stop := func() {
		cancel()
		if !once {
			once = true
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	if !options.closed {
		eventually(t, "the server listens", func() bool {
			made.mu.Lock()
			defer made.mu.Unlock()
			return len(made.listeners) > 0
		})
	}
	return &runningServer{made, options.listen[0], stop}
}

func connect(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", address, soon)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(soon))
	return conn
}

func readFrame(conn net.Conn) ([]byte, error) {
	var header [2]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return nil, err
	}
	datagram := make([]byte, binary.BigEndian.Uint16(header[:]))
	_, err := io.ReadFull(conn, datagram)
	return datagram, err
}

// answers says whether a datagram comes back through the connection.
func answers(conn net.Conn, text string) bool {
	if _, err := conn.Write(frame([]byte(text))); err != nil {
		return false
	}
	found, err := readFrame(conn)
	return err == nil && string(found) == text
}

// closed says whether the other side closes the connection.
func closedBy(conn net.Conn, within time.Duration) bool {
	_ = conn.SetReadDeadline(time.Now().Add(within))
	_, err := io.Copy(io.Discard, conn)
	timeout, ok := err.(net.Error)
	return !(ok && timeout.Timeout())
}

// refusedAt says whether a connection is refused: at once, or by closing it.
func refusedAt(t testing.TB, address string) bool {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", address, soon)
	if err != nil {
		return true
	}
	defer conn.Close()
	return closedBy(conn, 2*time.Second)
}

type runningClient struct {
	*client
	address string
}

func startClientEnd(t testing.TB, list []Endpoint, change func(*clientOptions, *failoverOptions)) *runningClient {
	t.Helper()
	options := clientOptions{
		listen: []string{"127.0.0.1:0"}, most: 10, idle: time.Minute, stall: 3 * time.Second, silentAfter: time.Minute,
		queueBytes: 1 << 20, udpBuffer: 1 << 20, limits: limits{send: time.Minute},
		tcp: tcpOptions{noDelay: true, userTimeout: time.Minute},
	}
	failover := failoverOptions{
		dialTimeout: time.Second, stagger: 100 * time.Millisecond, backoffFirst: 50 * time.Millisecond,
		backoffMost: 500 * time.Millisecond, checkEvery: 100 * time.Millisecond, returnAfter: 200 * time.Millisecond,
		silentHold: time.Minute,
	}
	if change != nil {
		change(&options, &failover)
	}
	log, redact := quiet()
	all := newEndpoints(failover, options.tcp, log, redact)
	all.replace(list)
	made := newClient(options, all, log, redact)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- made.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	var address string
	eventually(t, "the client listens", func() bool {
		made.mu.Lock()
		defer made.mu.Unlock()
		if len(made.sockets) == 0 {
			return false
		}
		address = made.sockets[0].conn.LocalAddr().String()
		return true
	})
	return &runningClient{made, address}
}

func dialUDP(t testing.TB, address string) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// crosses says whether a datagram comes back; UDP may lose one, so it is tried again.
func crosses(conn *net.UDPConn, text string) bool {
	buffer := make([]byte, 65536)
	for end := time.Now().Add(soon); time.Now().Before(end); {
		_, _ = conn.Write([]byte(text))
		_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				break
			}
			if string(buffer[:n]) == text {
				return true
			}
		}
	}
	return false
}
