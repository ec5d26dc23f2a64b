package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const resolveEvery = 10 * time.Second

// serverOptions are those of tcp2udp.
type serverOptions struct {
	listen        []string
	target        string
	allowed       targets
	bind          netip.Addr // invalid: any
	most          int
	mostOfAddress int
	queueBytes    int
	udpBuffer     int
	limits        limits
	tcp           tcpOptions
	closed        bool // until told otherwise: nothing is known of the node yet
}

// server is tcp2udp: each TCP connection gets a UDP socket of its own towards the target.
type server struct {
	options serverOptions
	log     *slog.Logger
	redact  *redactor
	began   time.Time
	past    totals

	mu         sync.Mutex
	target     string
	address    netip.AddrPort // of the target; invalid until it is resolved
	fault      string         // why it is not
	accepting  bool
	refusal    string // why not
	listeners  []net.Listener
	links      map[*serverLink]struct{}
	slots      slots
	ofAddress  map[netip.Addr]int
	reresolve  chan struct{}
	accepted   atomic.Uint64
	acceptErrs atomic.Uint64
	running    sync.WaitGroup
	seldom     sometimes
}

type serverLink struct {
	*link
	slot int
	peer netip.AddrPort
	udp  *udpSocket
}

func newServer(options serverOptions, log *slog.Logger, redact *redactor) (*server, error) {
	if len(options.allowed) == 0 {
		entry, err := parseAllowed(options.target)
		if err != nil {
			return nil, err
		}
		options.allowed = targets{entry}
	}
	if err := options.allowed.mayName(options.target); err != nil {
		return nil, fmt.Errorf("--udp-forward %s: %w", options.target, err)
	}
	refusal := ""
	if options.closed {
		refusal = "not told to accept yet"
	}
	return &server{
		refusal: refusal,
		options: options, log: log, redact: redact, began: time.Now(), target: options.target, accepting: !options.closed,
		links: map[*serverLink]struct{}{}, ofAddress: map[netip.Addr]int{}, reresolve: make(chan struct{}, 1),
	}, nil
}

// run serves until ctx ends, then lets what is on its way go out. An error means that it cannot listen.
func (s *server) run(ctx context.Context) error {
	s.resolve(ctx)
	if err := s.open(); err != nil {
		return err
	}
	ticker := time.NewTicker(resolveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			s.mu.Lock()
			s.accepting, s.refusal = false, "stopping"
			s.mu.Unlock()
			s.shut(byUs)
			s.running.Wait()
			return nil
		case <-ticker.C:
		case <-s.reresolve:
		}
		s.resolve(ctx)
	}
}

// open listens on every address.
func (s *server) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.accepting || len(s.listeners) > 0 {
		return nil
	}
	config := net.ListenConfig{Control: s.options.tcp.control, KeepAlive: -1}
	for _, address := range s.options.listen {
		listener, err := config.Listen(context.Background(), networkOf("tcp", address), address)
		if err != nil {
			s.closeListeners()
			return fmt.Errorf("cannot listen on %s/TCP: %w", address, err)
		}
		s.listeners = append(s.listeners, listener)
		s.log.Info("listening", "address", listener.Addr().String())
		s.running.Add(1)
		go s.accept(listener)
	}
	return nil
}

func (s *server) closeListeners() {
	for _, listener := range s.listeners {
		_ = listener.Close()
	}
	s.listeners = nil
}

// shut closes listeners and connections.
func (s *server) shut(reason string) {
	s.mu.Lock()
	s.closeListeners()
	for l := range s.links {
		l.end(reason)
	}
	s.mu.Unlock()
}

// accept takes connections or, for a node that is not well, lets client ends know at once: nobody listens any more.
func (s *server) setAccepting(accept bool, reason string) error {
	s.mu.Lock()
	changed := s.accepting != accept
	s.accepting, s.refusal = accept, reason
	s.mu.Unlock()
	if accept {
		if changed {
			s.log.Info("accepting again")
		}
		return s.open() // also where it could not listen the last time
	}
	if !changed {
		return nil
	}
	s.log.Warn("not accepting", "reason", reason)
	s.shut("refusing")
	return nil
}

// setTarget changes where datagrams go; connections to the former one are closed.
func (s *server) setTarget(target string) error {
	if err := s.options.allowed.mayName(target); err != nil {
		return err
	}
	s.mu.Lock()
	s.target = target
	s.mu.Unlock()
	select {
	case s.reresolve <- struct{}{}:
	default:
	}
	return nil
}

// resolve looks the target up again: a container that was made anew has another address under the same name.
func (s *server) resolve(ctx context.Context) {
	s.mu.Lock()
	target := s.target
	s.mu.Unlock()
	address, err := s.options.allowed.resolve(ctx, target)
	s.mu.Lock()
	defer s.mu.Unlock()
	if target != s.target || ctx.Err() != nil {
		return
	}
	if err != nil {
		if errors.Is(err, errNotAllowed) {
			s.address = netip.AddrPort{}
		}
		if fault := s.redact.reason(err); fault != s.fault {
			s.fault = fault
			s.log.Error("the target cannot be used", "reason", fault, "target", s.redact.text(target))
		}
		return
	}
	s.fault = ""
	if address == s.address {
		return
	}
	s.log.Info("target", "address", s.redact.show(address))
	if s.address.IsValid() {
		for l := range s.links {
			l.end(moved)
		}
	}
	s.address = address
}

func (s *server) accept(listener net.Listener) {
	defer s.running.Done()
	wait := newBackoff(50*time.Millisecond, 5*time.Second)
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors, mostly; the connection stays in the kernel's queue, so asking again at once would
			// only burn the processor.
			s.acceptErrs.Add(1)
			s.log.Error("cannot accept", "reason", s.redact.reason(err))
			time.Sleep(wait.next())
			continue
		}
		wait.reset()
		s.accepted.Add(1)
		s.admit(conn.(*net.TCPConn))
	}
}

// admit starts to forward for a connection, or closes it where that would pass a limit.
func (s *server) admit(conn *net.TCPConn) {
	peer := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
	group := groupOf(peer.Addr())
	s.mu.Lock()
	defer s.mu.Unlock()
	refusal := ""
	switch {
	case !s.accepting:
		refusal = "not accepting"
	case len(s.links) >= s.options.most:
		refusal = "too many"
	case s.ofAddress[group] >= s.options.mostOfAddress:
		refusal = "too many of one address"
	case !s.address.IsValid():
		refusal = "no target"
	}
	if refusal != "" {
		s.refuse(conn, peer, refusal)
		return
	}
	udp, err := s.socket()
	if err == nil {
		err = s.options.tcp.apply(conn)
	}
	if err != nil {
		s.log.Error("cannot forward", "reason", s.redact.reason(err))
		if udp != nil {
			udp.close()
		}
		s.refuse(conn, peer, "no socket")
		return
	}
	count := &traffic{}
	queue := newFrameQueue(s.options.queueBytes)
	l := &serverLink{peer: peer, udp: udp}
	l.link, err = newLink(conn, queue, s.options.limits, count, func(batch []byte, segment int) (int, error) {
		lost, reason := udp.write(netip.AddrPort{}, batch, segment)
		if lost > 0 && s.seldom.now("lost", 10*time.Second) {
			s.log.Warn("datagrams could not be sent on", "reason", s.redact.reason(reason))
		}
		return lost, reason
	})
	if err != nil {
		udp.close()
		s.refuse(conn, peer, "no socket")
		return
	}
	l.slot = s.slots.take()
	s.links[l] = struct{}{}
	s.ofAddress[group]++
	s.log.Debug("connected", "peer", s.redact.show(peer), "connection", l.slot)
	s.running.Add(1)
	go s.serve(l, group)
}

func (s *server) refuse(conn *net.TCPConn, peer netip.AddrPort, why string) {
	s.past.refused(why)
	// No wait for what the other side might still have to say, and no TIME_WAIT of ours.
	_ = conn.SetLinger(0)
	_ = conn.Close()
	if s.seldom.now(why, 10*time.Second) {
		s.log.Warn("refused", "reason", why, "peer", s.redact.show(peer))
	}
}

func (s *server) socket() (*udpSocket, error) {
	var local *net.UDPAddr
	if s.options.bind.IsValid() {
		local = &net.UDPAddr{IP: s.options.bind.AsSlice()}
	}
	conn, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(s.address))
	if err != nil {
		return nil, err
	}
	return newUDPSocket(conn, true, s.options.udpBuffer)
}

func (s *server) serve(l *serverLink, group netip.Addr) {
	defer s.running.Done()
	push := func(_ netip.AddrPort, batch []byte, segment int) { l.queue.push(batch, segment) }
	go func() {
		for {
			if err := l.udp.read(push); err != nil {
				l.end(udpFailed)
				return
			}
			l.flush()
		}
	}()
	reason := l.run(nil)
	l.udp.close()
	s.mu.Lock()
	delete(s.links, l)
	s.slots.free(l.slot)
	if s.ofAddress[group]--; s.ofAddress[group] == 0 {
		delete(s.ofAddress, group)
	}
	s.past.closed(reason, l.count, l.queue)
	s.mu.Unlock()
	s.log.Debug("disconnected", "peer", s.redact.show(l.peer), "connection", l.slot, "reason", reason,
		"seconds", time.Since(l.started).Round(time.Millisecond).Seconds())
}

// groupOf is what the limit per address counts: one of IPv4, a /64 of IPv6, since that is what one customer gets.
func groupOf(ip netip.Addr) netip.Addr {
	if ip.Is6() {
		block, err := ip.WithZone("").Prefix(64)
		if err == nil {
			return block.Addr()
		}
	}
	return ip
}

// networkOf is that of an address: 0.0.0.0 is no address of IPv6.
func networkOf(kind, address string) string {
	host, _, err := net.SplitHostPort(address)
	if ip, wrong := netip.ParseAddr(host); err == nil && wrong == nil {
		if ip.Is4() {
			return kind + "4"
		}
		return kind + "6"
	}
	return kind
}
