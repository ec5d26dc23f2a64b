package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Endpoint is one tcp2udp: where it listens, and which node it stands before ("" where there is only one).
type Endpoint struct {
	Address string `json:"address"`
	Node    string `json:"node,omitempty"`
}

// parseEndpoint reads "host:port" or "node=host:port".
func parseEndpoint(text string) (Endpoint, error) {
	node, address, named := strings.Cut(text, "=")
	if !named {
		node, address = "", text
	}
	found := Endpoint{Address: address, Node: node}
	return found, found.check()
}

func (e Endpoint) check() error {
	host, port, err := net.SplitHostPort(e.Address)
	number, wrong := strconv.ParseUint(port, 10, 16)
	if err != nil || wrong != nil || number == 0 || host == "" {
		return fmt.Errorf("%q is no endpoint: host:port is, or node=host:port", e.Address)
	}
	return nil
}

// parseEndpoints reads a JSON list of endpoints, preferred first.
func parseEndpoints(text []byte) ([]Endpoint, error) {
	var list []Endpoint
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("not a JSON list of {\"address\", \"node\"}: %w", err)
	}
	for _, one := range list {
		if err := one.check(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

type failoverOptions struct {
	dialTimeout  time.Duration
	stagger      time.Duration // head start of the better endpoint
	backoffFirst time.Duration
	backoffMost  time.Duration
	checkEvery   time.Duration
	returnAfter  time.Duration // so long must the preferred one have been well
	silentHold   time.Duration // so long is one left alone behind which nobody answers; doubles
}

func defaultFailover() failoverOptions {
	return failoverOptions{
		dialTimeout: 3 * time.Second, stagger: 500 * time.Millisecond, backoffFirst: 250 * time.Millisecond,
		backoffMost: 30 * time.Second, checkEvery: 5 * time.Second, returnAfter: 30 * time.Second,
		silentHold: time.Minute,
	}
}

// remote is an endpoint and what is known of it.
type remote struct {
	Endpoint
	wait      backoff
	quiet     backoff
	notBefore time.Time // not tried again until then
	heldUntil time.Time // as notBefore, but a successful probe does not lift it
	wellSince time.Time // zero: not known to be well
	fault     string
}

// endpoints knows the list, how each of them is, and which one is active. All connections use the active one.
type endpoints struct {
	options failoverOptions
	tcp     tcpOptions
	log     *slog.Logger
	redact  *redactor

	mu        sync.Mutex
	list      []*remote
	active    *remote
	changed   chan struct{} // closed and replaced on each change of the list, of the active one, or of someone's state
	failovers atomic.Uint64
}

func newEndpoints(options failoverOptions, tcp tcpOptions, log *slog.Logger, redact *redactor) *endpoints {
	return &endpoints{options: options, tcp: tcp, log: log, redact: redact, changed: make(chan struct{})}
}

func (e *endpoints) notify() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// replace takes a new list; what is known of an endpoint that stays is kept.
func (e *endpoints) replace(list []Endpoint) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known := map[Endpoint]*remote{}
	for _, one := range e.list {
		known[one.Endpoint] = one
	}
	made := make([]*remote, 0, len(list))
	for _, endpoint := range list {
		one := known[endpoint]
		if one == nil {
			one = &remote{
				Endpoint: endpoint,
				wait:     newBackoff(e.options.backoffFirst, e.options.backoffMost),
				quiet:    newBackoff(e.options.silentHold, 15*e.options.silentHold),
			}
			known[endpoint] = one
		} else if contains(made, one) {
			continue
		}
		made = append(made, one)
	}
	same := len(made) == len(e.list)
	for at := 0; same && at < len(made); at++ {
		same = made[at] == e.list[at]
	}
	if same {
		return
	}
	e.list = made
	e.log.Info("endpoints", "count", len(made))
	if e.active != nil && !contains(made, e.active) {
		e.active = nil
	}
	e.notify()
}

func contains(list []*remote, wanted *remote) bool {
	for _, one := range list {
		if one == wanted {
			return true
		}
	}
	return false
}

// current gives the active endpoint (nil: none) and a channel that is closed when anything changes.
func (e *endpoints) current() (*remote, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.active, e.changed
}

// candidates are those that may be tried now, the best first: the active one, then others of its node, since a session
// of WireGuard survives that, then the rest in order. until is when the next one may be, where none may be now.
func (e *endpoints) candidates(now time.Time) (found []*remote, until time.Time) {
	rank := func(one *remote) int {
		switch {
		case one == e.active:
			return 0
		case e.active != nil && one.Node != "" && one.Node == e.active.Node:
			return 1
		}
		return 2
	}
	for wanted := 0; wanted <= 2; wanted++ {
		for _, one := range e.list {
			if rank(one) != wanted {
				continue
			}
			at := one.notBefore
			if one.heldUntil.After(at) {
				at = one.heldUntil
			}
			if !at.After(now) {
				found = append(found, one)
			} else if until.IsZero() || at.Before(until) {
				until = at
			}
		}
	}
	return found, until
}

// fail says that an endpoint does not work; it is left alone for a while that grows with each time.
func (e *endpoints) fail(one *remote, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if reason == silent {
		one.heldUntil = now.Add(one.quiet.next())
	} else {
		one.notBefore = now.Add(one.wait.next())
	}
	if one.fault != reason {
		e.log.Warn("endpoint does not work", "node", one.Node, "endpoint", e.redact.text(one.Address), "reason", reason)
	}
	one.fault, one.wellSince = reason, time.Time{}
	e.notify()
}

// settled says that an endpoint carries datagrams both ways.
func (e *endpoints) settled(one *remote) {
	e.mu.Lock()
	defer e.mu.Unlock()
	one.wait.reset()
	one.quiet.reset()
	one.fault = ""
}

// use makes an endpoint the active one.
func (e *endpoints) use(one *remote, reason string) {
	if e.active == one {
		return
	}
	former := e.active
	e.active = one
	node := ""
	if former != nil {
		e.failovers.Add(1)
		node = former.Node
	}
	e.log.Info("active endpoint", "node", one.Node, "endpoint", e.redact.text(one.Address), "reason", reason,
		"former_node", node)
	e.notify()
}

// connect gives a connection to the best endpoint that takes one, and waits for as long as none does.
func (e *endpoints) connect(ctx context.Context) (*remote, *net.TCPConn, error) {
	for {
		e.mu.Lock()
		list, until := e.candidates(time.Now())
		changed := e.changed
		e.mu.Unlock()
		if len(list) > 0 {
			if one, conn := e.race(ctx, list); conn != nil {
				e.mu.Lock()
				if contains(e.list, one) {
					e.use(one, "connected")
				}
				if one.wellSince.IsZero() {
					one.wellSince = time.Now()
				}
				e.mu.Unlock()
				return one, conn, nil
			}
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			continue
		}
		wait := time.Hour
		if !until.IsZero() {
			wait = time.Until(until)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, nil, ctx.Err()
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// race dials the endpoints in order, each a little after the one before it or as soon as that one has failed; the
// first connection wins.
func (e *endpoints) race(ctx context.Context, list []*remote) (*remote, *net.TCPConn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		one  *remote
		conn *net.TCPConn
		err  error
	}
	results := make(chan result, len(list))
	next, running := 0, 0
	start := func() {
		one := list[next]
		next++
		running++
		go func() {
			conn, err := e.tcp.dial(ctx, one.Address, e.options.dialTimeout)
			results <- result{one, conn, err}
		}()
	}
	start()
	head := time.NewTicker(e.options.stagger)
	defer head.Stop()
	for running > 0 {
		select {
		case <-head.C:
			if next < len(list) {
				start()
			}
		case got := <-results:
			running--
			if got.err == nil {
				left := running
				go func() { // those that came too late
					for ; left > 0; left-- {
						if late := <-results; late.conn != nil {
							_ = late.conn.Close()
						}
					}
				}()
				return got.one, got.conn
			}
			if ctx.Err() == nil {
				e.fail(got.one, e.dialFault(got.err))
				if next < len(list) {
					start()
				}
			}
		}
	}
	return nil, nil
}

func (e *endpoints) dialFault(err error) string {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "does not answer"
	}
	return e.redact.reason(err)
}

// watch probes every endpoint but the active one, and goes back to the preferred one when it has been well for long
// enough.
func (e *endpoints) watch(ctx context.Context) {
	for {
		timer := time.NewTimer(jitter(e.options.checkEvery))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		e.mu.Lock()
		var others []*remote
		for _, one := range e.list {
			if one != e.active {
				others = append(others, one)
			}
		}
		e.mu.Unlock()
		var probes sync.WaitGroup
		for _, one := range others {
			probes.Add(1)
			go func() {
				defer probes.Done()
				e.probe(ctx, one)
			}()
		}
		probes.Wait()
		e.prefer()
	}
}

// probe connects and sees whether the connection stays: a bridge that is full, or whose node is not well, closes it.
func (e *endpoints) probe(ctx context.Context, one *remote) {
	conn, err := e.tcp.dial(ctx, one.Address, e.options.dialTimeout)
	if ctx.Err() != nil {
		if conn != nil {
			_ = conn.Close()
		}
		return
	}
	if err != nil {
		e.fail(one, e.dialFault(err))
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	var byte1 [1]byte
	_, err = conn.Read(byte1[:])
	_ = conn.Close()
	var timeout net.Error
	if err != nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
		e.fail(one, "closes at once")
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if one.wellSince.IsZero() {
		one.wellSince = time.Now()
		one.notBefore = time.Time{}
		one.wait.reset()
		if !one.heldUntil.After(time.Now()) {
			one.fault = ""
		}
		e.notify()
	}
}

// prefer goes back to the first endpoint of the list once it has been well for long enough.
func (e *endpoints) prefer() {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	for _, one := range e.list {
		if one == e.active {
			return
		}
		well := !one.wellSince.IsZero() && now.Sub(one.wellSince) >= e.options.returnAfter
		if e.active != nil && well && !one.notBefore.After(now) && !one.heldUntil.After(now) {
			e.use(one, "preferred again")
			return
		}
	}
}

// alone says whether there is nowhere else to go.
func (e *endpoints) alone() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.list) < 2
}

// keep stays with an endpoint after a move away from it has failed.
func (e *endpoints) keep(one *remote) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if contains(e.list, one) {
		e.use(one, "the other one did not take it")
	} else {
		e.active = nil
	}
}

// EndpointState is one endpoint as /stats shows it.
type EndpointState struct {
	Endpoint
	Active bool    `json:"active"`
	Well   bool    `json:"well"`
	For    float64 `json:"wellSeconds"`
	Fault  string  `json:"fault,omitempty"`
}

// ActiveState is the endpoint that is in use.
type ActiveState struct{ Endpoint }

func (e *endpoints) states() (active *ActiveState, all []EndpointState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range e.list {
		state := EndpointState{Endpoint: one.Endpoint, Active: one == e.active, Fault: one.fault}
		if !one.wellSince.IsZero() {
			state.Well, state.For = true, seconds(one.wellSince)
		}
		all = append(all, state)
	}
	if e.active != nil {
		active = &ActiveState{e.active.Endpoint}
	}
	return active, all
}
