package main

import (
	"net"
	"time"
)

// nudgeAfter: more than once, since the first may be lost with the connection that is still being left.
var nudgeAfter = []time.Duration{0, 200 * time.Millisecond, time.Second}

const (
	muchBytes = 16 << 10
	lullFirst = 2 * time.Second
	lullLast  = 10 * time.Second
)

// nudge gives WireGuard something fresh to send on a connection that is new: its other side goes on sending to where the
// last fresh packet came from, and what was sent before the failure is a replay to it.
func (c *client) nudge() {
	for _, after := range nudgeAfter {
		time.AfterFunc(after, c.nudgeOnce)
	}
}

func (c *client) nudgeOnce() {
	for _, target := range c.options.nudge {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(target))
		if err == nil {
			_, err = conn.Write([]byte{0})
			_ = conn.Close()
		}
		if err != nil && c.seldom.now("nudge", 10*time.Second) {
			c.log.Warn("nothing could be sent into the tunnel", "reason", c.redact.reason(err))
		}
	}
}

// lull notices that nothing comes any more after much has come.  It may be that the other side is gone without a word
// while we have nothing to send, whose missing acknowledgement would tell: a nudge is.
type lull struct {
	bytes, since uint64 // received when we last looked, and when the last lull began
	at           time.Time
	next         time.Duration
}

// due says whether to nudge now: some times in a lull, ever more rarely.
func (l *lull) due(received uint64) bool {
	if received != l.bytes {
		l.bytes, l.at = received, time.Now()
		if received-l.since >= muchBytes {
			l.next = lullFirst
		}
		return false
	}
	if l.next == 0 || time.Since(l.at) < l.next {
		return false
	}
	l.since = received
	if l.next *= 2; l.next > lullLast {
		l.next = 0 // WireGuard's own keepalive takes over
	}
	return true
}
