package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lookEvery   = 500 * time.Millisecond
	settleTime  = 5 * time.Second
	overlapTime = time.Second // so long a connection that was moved away from still delivers
	initiation  = 148         // bytes of a handshake initiation of WireGuard, whose first byte is 1
	mostUnheard = 3
)

// clientOptions are those of udp2tcp.
type clientOptions struct {
	listen      []string
	most        int           // local peers at once
	idle        time.Duration // after which a local peer that says nothing is forgotten
	stall       time.Duration // so long may sent data stay without acknowledgement; zero: for ever
	silentAfter time.Duration // so long may handshakes stay without an answer; zero: for ever
	queueBytes  int
	udpBuffer   int
	limits      limits
	tcp         tcpOptions
	nudge       []netip.AddrPort // inside the tunnel
}

// client is udp2tcp: each local peer, a source address that sends to us, gets a TCP connection of its own.
type client struct {
	options   clientOptions
	endpoints *endpoints
	log       *slog.Logger
	redact    *redactor
	began     time.Time
	past      totals

	mu      sync.Mutex
	peers   map[peerKey]*localPeer
	slots   slots
	made    uint64
	running sync.WaitGroup
	sockets []*udpSocket
	seldom  sometimes
}

type peerKey struct {
	socket  *udpSocket
	address netip.AddrPort
}

type localPeer struct {
	peerKey
	client   *client
	slot     int
	queue    *frameQueue
	count    *traffic
	lastSent atomic.Int64 // unix nanoseconds, when the peer last sent something

	// Initiations since the last datagram that came back, and when the first of them was.
	unheard   atomic.Int32
	unheardAt atomic.Int64

	current atomic.Pointer[link]
	node    atomic.Pointer[string]
}

func newClient(options clientOptions, endpoints *endpoints, log *slog.Logger, redact *redactor) *client {
	return &client{
		options: options, endpoints: endpoints, log: log, redact: redact, began: time.Now(),
		peers: map[peerKey]*localPeer{},
	}
}

// run serves until ctx ends. An error means that it cannot listen.
func (c *client) run(ctx context.Context) error {
	for _, address := range c.options.listen {
		local, err := net.ResolveUDPAddr(networkOf("udp", address), address)
		if err != nil {
			return fmt.Errorf("cannot listen on %s/UDP: %w", address, err)
		}
		conn, err := net.ListenUDP(networkOf("udp", address), local)
		if err != nil {
			return fmt.Errorf("cannot listen on %s/UDP: %w", address, err)
		}
		socket, err := newUDPSocket(conn, false, c.options.udpBuffer)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.sockets = append(c.sockets, socket)
		c.mu.Unlock()
		c.log.Info("listening", "address", conn.LocalAddr().String())
	}
	go c.endpoints.watch(ctx)
	failure := make(chan error, len(c.sockets))
	for _, socket := range c.sockets {
		go func() { failure <- c.receive(ctx, socket) }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failure:
	}
	c.running.Wait()
	for _, socket := range c.sockets {
		socket.close()
	}
	return err
}

// receive takes datagrams of every local peer.
func (c *client) receive(ctx context.Context, socket *udpSocket) error {
	var latest *localPeer // most batches are of the one that sent the one before
	var now int64
	take := func(from netip.AddrPort, batch []byte, segment int) {
		if latest == nil || latest.address != from || latest.gone() {
			if latest != nil {
				latest.flush()
			}
			if latest = c.peer(ctx, peerKey{socket, from}); latest == nil {
				return
			}
		}
		latest.lastSent.Store(now)
		if len(batch) == initiation && batch[0] == 1 && latest.unheard.Add(1) == 1 {
			latest.unheardAt.Store(now)
		}
		latest.queue.push(batch, segment)
	}
	for ctx.Err() == nil {
		now = time.Now().UnixNano()
		if err := socket.read(take); err != nil && ctx.Err() == nil {
			return err
		}
		if latest != nil {
			latest.flush()
		}
	}
	return nil
}

// peer finds or makes the local peer; nil when there are too many.
func (c *client) peer(ctx context.Context, key peerKey) *localPeer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found := c.peers[key]; found != nil {
		return found
	}
	if len(c.peers) >= c.options.most || ctx.Err() != nil {
		c.past.refused("too many")
		if c.seldom.now("too many", 10*time.Second) {
			c.log.Warn("refused", "reason", "too many", "peer", c.redact.show(key.address))
		}
		return nil
	}
	made := &localPeer{
		peerKey: key, client: c, slot: c.slots.take(), queue: newFrameQueue(c.options.queueBytes), count: &traffic{},
	}
	c.made++
	c.peers[key] = made
	c.log.Debug("local peer", "peer", c.redact.show(key.address), "connection", made.slot)
	c.running.Add(1)
	go made.run(ctx)
	return made
}

// flush sends what is waiting, where there is a connection.
func (p *localPeer) flush() {
	if current := p.current.Load(); current != nil {
		current.flush()
	}
}

func (p *localPeer) gone() bool { return p.lastSent.Load() < 0 }

// runningLink is one connection of a local peer, and where it goes.
type runningLink struct {
	*link
	to  *remote
	why chan string // says once why it ended
}

// run keeps one connection for the peer until it is idle or ctx ends.
func (p *localPeer) run(ctx context.Context) {
	defer p.client.running.Done()
	defer p.leave()
	var tail []byte
	for {
		one, conn, err := p.dial(ctx)
		if err != nil {
			return
		}
		now, err := p.start(conn, one, tail)
		if err != nil {
			continue
		}
		var reason string
		if now, reason = p.follow(ctx, now); reason == peerIdle || ctx.Err() != nil {
			return
		}
		tail = now.tail()
	}
}

// dial waits for a connection, and gives up when the peer has been idle for too long.
func (p *localPeer) dial(ctx context.Context) (*remote, *net.TCPConn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	finished := make(chan struct{})
	defer close(finished)
	go func() {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		for {
			select {
			case <-finished:
				return
			case <-ticker.C:
				if p.idle() {
					cancel()
				}
			}
		}
	}()
	return p.client.endpoints.connect(ctx)
}

func (p *localPeer) idle() bool {
	last := p.lastSent.Load()
	return last > 0 && p.client.options.idle > 0 && time.Since(time.Unix(0, last)) > p.client.options.idle
}

func (p *localPeer) start(conn *net.TCPConn, to *remote, tail []byte) (*runningLink, error) {
	deliver := func(batch []byte, segment int) (int, error) {
		p.unheard.Store(0)
		lost, reason := p.socket.write(p.address, batch, segment)
		if lost > 0 && p.client.seldom.now("lost", 10*time.Second) {
			p.client.log.Warn("datagrams could not be sent on", "reason", p.client.redact.reason(reason))
		}
		return lost, reason
	}
	forwarding, err := newLink(conn, p.queue, p.client.options.limits, p.count, deliver)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	made := &runningLink{link: forwarding, to: to, why: make(chan string, 1)}
	made.keep = true
	p.current.Store(forwarding)
	p.node.Store(&to.Node)
	p.client.nudge()
	p.client.running.Add(1)
	go func() {
		defer p.client.running.Done()
		reason := made.run(tail)
		p.client.past.closed(reason, &traffic{}, nil)
		made.why <- reason
	}()
	return made, nil
}

// follow stays with a connection, and with those that it is moved to, until one is lost. Returns the lost one.
func (p *localPeer) follow(ctx context.Context, now *runningLink) (*runningLink, string) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var acked uint64
	var unackedSince time.Time
	settled := false
	var pause lull
	for {
		active, changed := p.client.endpoints.current()
		if active != now.to {
			next := p.move(ctx, now, active)
			if next != nil {
				now, settled, unackedSince = next, false, time.Time{}
				continue
			}
			if active == nil {
				now.end(moved)
			}
		}
		select {
		case <-ctx.Done():
			now.end(byUs)
			return now, <-now.why
		case reason := <-now.why:
			p.lost(now, reason)
			return now, reason
		case <-changed:
			continue
		case <-ticker.C:
		}
		if !settled && now.heard.Load() {
			settled = true
			p.client.endpoints.settled(now.to)
		}
		if p.idle() {
			now.end(peerIdle)
			return now, <-now.why
		}
		info, ok := readInfo(now.conn)
		switch {
		case !ok || info.Unacked == 0 || info.Acked != acked || unackedSince.IsZero():
			acked, unackedSince = info.Acked, time.Now()
		case p.client.options.stall > 0 && time.Since(unackedSince) >= p.client.options.stall:
			now.end(stalled)
		}
		if pause.due(p.count.toUDPBytes.Load()) {
			p.client.nudgeOnce()
		}
		if p.unanswered() {
			p.unheard.Store(0)
			now.end(silent)
		}
	}
}

// unanswered says whether WireGuard has asked for a handshake so often, and for so long, that nobody seems to be there.
// With one endpoint alone there is nothing better to do than to go on.
func (p *localPeer) unanswered() bool {
	if p.client.options.silentAfter <= 0 || p.unheard.Load() < mostUnheard || p.client.endpoints.alone() {
		return false
	}
	return time.Since(time.Unix(0, p.unheardAt.Load())) >= p.client.options.silentAfter
}

// move makes the connection to the new endpoint, or to any where none is active, before it leaves the old one; nil
// where it cannot.
func (p *localPeer) move(ctx context.Context, from *runningLink, to *remote) *runningLink {
	all := p.client.endpoints
	var conn *net.TCPConn
	var err error
	if to == nil { // the one that was active is not in the list any more
		bounded, cancel := context.WithTimeout(ctx, all.options.dialTimeout)
		to, conn, err = all.connect(bounded)
		cancel()
	} else if conn, err = all.tcp.dial(ctx, to.Address, all.options.dialTimeout); err != nil && ctx.Err() == nil {
		all.fail(to, all.dialFault(err))
		all.keep(from.to)
	}
	if err != nil {
		return nil
	}
	from.retire()
	made, err := p.start(conn, to, nil)
	if err != nil {
		from.end(moved)
		return nil
	}
	time.AfterFunc(overlapTime, func() { from.end(moved) })
	return made
}

// lost tells the endpoints what the end of a connection says of its endpoint.
func (p *localPeer) lost(now *runningLink, reason string) {
	all := p.client.endpoints
	p.client.log.Info("connection lost", "node", now.to.Node, "endpoint", all.redact.text(now.to.Address),
		"reason", reason, "seconds", seconds(now.started))
	switch {
	case reason == stalled || reason == silent || reason == sendLimit || reason == receiveLimit:
		all.fail(now.to, reason)
	case !now.heard.Load() && time.Since(now.started) < settleTime:
		all.fail(now.to, "closes at once")
	}
}

func (p *localPeer) leave() {
	c := p.client
	p.lastSent.Store(-1)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.peers, p.peerKey)
	c.slots.free(p.slot)
	_, dropped := p.queue.state()
	c.past.mu.Lock()
	c.past.sum.add(p.count, dropped)
	c.past.mu.Unlock()
}

func (c *client) stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum, reasons, refused := c.past.read()
	active, all := c.endpoints.states()
	shown := Stats{
		End: "udp2tcp", Uptime: seconds(c.began), Accepting: true, Active: active, Endpoints: all,
		Accepted: c.made, Closed: reasons, Refused: refused, Failovers: c.endpoints.failovers.Load(), Totals: sum,
		Connections: []Connection{}, Process: process(),
	}
	for _, p := range c.peers {
		current, node := p.current.Load(), p.node.Load()
		_, dropped := p.queue.state()
		shown.Totals.add(p.count, dropped)
		if current == nil {
			continue
		}
		shown.Open++
		shown.Connections = append(shown.Connections, connection(p.slot, c.redact.show(p.address), *node, current))
	}
	return shown
}
