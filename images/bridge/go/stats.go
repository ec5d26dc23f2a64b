package main

import (
	"runtime"
	"sync"
	"time"
)

// Flow is what went one way: dropped by our bounded queue, lost because it could not be sent on.
type Flow struct {
	Datagrams uint64 `json:"datagrams"`
	Bytes     uint64 `json:"bytes"`
	Dropped   uint64 `json:"dropped"`
	Lost      uint64 `json:"lost"`
}

// Totals are those of all connections, open and closed.
type Totals struct {
	ToUDP  Flow   `json:"toUdp"`
	ToTCP  Flow   `json:"toTcp"`
	Empty  uint64 `json:"emptyFrames"`
	Resent uint64 `json:"resent"`
}

func (t *Totals) add(count *traffic, dropped uint64) {
	t.ToUDP.Datagrams += count.toUDP.Load()
	t.ToUDP.Bytes += count.toUDPBytes.Load()
	t.ToUDP.Lost += count.lostUDP.Load()
	t.ToTCP.Datagrams += count.toTCP.Load()
	t.ToTCP.Bytes += count.toTCPBytes.Load()
	t.ToTCP.Dropped += dropped
	t.ToTCP.Lost += count.lostTCP.Load()
	t.Empty += count.empty.Load()
	t.Resent += count.resent.Load()
}

// totals are those of closed connections, and why they closed or were refused.
type totals struct {
	mu      sync.Mutex
	sum     Totals
	reasons map[string]uint64
	refusal map[string]uint64
}

func (t *totals) refused(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refusal == nil {
		t.refusal = map[string]uint64{}
	}
	t.refusal[why]++
}

// closed counts a connection; queue is nil where others go on with it.
func (t *totals) closed(reason string, count *traffic, queue *frameQueue) {
	dropped := uint64(0)
	if queue != nil {
		_, dropped = queue.state()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reasons == nil {
		t.reasons = map[string]uint64{}
	}
	t.reasons[reason]++
	t.sum.add(count, dropped)
}

func (t *totals) read() (sum Totals, reasons, refused map[string]uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sum, copied(t.reasons), copied(t.refusal)
}

func copied(from map[string]uint64) map[string]uint64 {
	made := make(map[string]uint64, len(from))
	for name, value := range from {
		made[name] = value
	}
	return made
}

// Connection is one open connection.
type Connection struct {
	Slot       int     `json:"connection"`
	Peer       string  `json:"peer"`
	Node       string  `json:"node,omitempty"`
	Seconds    float64 `json:"seconds"`
	Idle       float64 `json:"idle"`
	QueueBytes int     `json:"queueBytes"`
	Totals
	TCP *tcpInfo `json:"tcp,omitempty"`
}

func connection(slot int, peer, node string, l *link) Connection {
	waiting, dropped := l.queue.state()
	shown := Connection{Slot: slot, Peer: peer, Node: node, Seconds: seconds(l.started), QueueBytes: waiting}
	shown.Idle = shown.Seconds
	if last := l.count.lastReceived.Load(); last > 0 {
		shown.Idle = seconds(time.Unix(0, last))
	}
	shown.add(l.count, dropped)
	if info, ok := readInfo(l.conn); ok {
		shown.TCP = &info
	}
	return shown
}

// Process is what this program takes.
type Process struct {
	HeapBytes  uint64 `json:"heapBytes"`
	SysBytes   uint64 `json:"sysBytes"`
	Goroutines int    `json:"goroutines"`
}

func process() Process {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return Process{HeapBytes: memory.HeapAlloc, SysBytes: memory.Sys, Goroutines: runtime.NumGoroutine()}
}

// Stats are what /stats shows.
type Stats struct {
	End         string            `json:"end"`
	Uptime      float64           `json:"uptime"`
	Accepting   bool              `json:"accepting"`
	Refusal     string            `json:"refusal,omitempty"`
	Target      *TargetState      `json:"target,omitempty"`
	Active      *ActiveState      `json:"active,omitempty"`
	Endpoints   []EndpointState   `json:"endpoints,omitempty"`
	Open        int               `json:"open"`
	Accepted    uint64            `json:"accepted"`
	AcceptFails uint64            `json:"acceptFailures"`
	Closed      map[string]uint64 `json:"closed"`
	Refused     map[string]uint64 `json:"refused"`
	Failovers   uint64            `json:"failovers"`
	Totals      Totals            `json:"totals"`
	Connections []Connection      `json:"connections"`
	Process     Process           `json:"process"`
}

// TargetState is where tcp2udp sends to.
type TargetState struct {
	Name     string `json:"name"`
	Resolved bool   `json:"resolved"`
	Fault    string `json:"fault,omitempty"`
}

func (s *server) stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, reasons, refused := s.past.read()
	shown := Stats{
		End: "tcp2udp", Uptime: seconds(s.began), Accepting: s.accepting, Refusal: s.refusal,
		Target: &TargetState{Name: s.target, Resolved: s.address.IsValid(), Fault: s.fault},
		Open:   len(s.links), Accepted: s.accepted.Load(), AcceptFails: s.acceptErrs.Load(),
		Closed: reasons, Refused: refused, Totals: sum, Connections: []Connection{}, Process: process(),
	}
	for l := range s.links {
		one := connection(l.slot, s.redact.show(l.peer), "", l.link)
		_, dropped := l.queue.state()
		shown.Totals.add(l.count, dropped)
		shown.Connections = append(shown.Connections, one)
	}
	return shown
}

func seconds(since time.Time) float64 { return float64(time.Since(since).Milliseconds()) / 1000 }
