package main

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Why a connection ended; also the label of the counters.
const (
	byPeer        = "closed"          // the other side closed it, between two frames
	truncated     = "truncated"       // the other side closed it inside a frame
	oversize      = "oversize"        // a frame that no datagram can hold
	receiveLimit  = "receive timeout" // nothing came for too long
	firstLimit    = "first timeout"   // nothing came at all
	frameLimit    = "frame timeout"   // a frame was begun and not finished
	answerLimit   = "answer timeout"  // the other end speaks, and its target has never answered
	sendLimit     = "send timeout"    // the other side does not read
	failed        = "failed"          // TCP said so: reset, unreachable
	udpFailed     = "udp failed"
	byUs          = "stopped"
	stalled       = "stalled" // nobody acknowledges
	silent        = "silent"  // WireGuard gets no answer
	moved         = "moved"
	peerIdle      = "peer idle"
	wakeEvery     = 10 * time.Second
	deadlineSlack = time.Second
	tailBytes     = 32 << 10
	tailAge       = 2 * time.Second
	drainTime     = 200 * time.Millisecond
)

type limits struct {
	receive, first, frame, send, answer time.Duration // zero: none
}

// traffic counts what one connection carried; as a whole also what those before it did.
type traffic struct {
	toUDP, toUDPBytes, lostUDP atomic.Uint64
	toTCP, toTCPBytes, lostTCP atomic.Uint64
	droppedTCP, empty, resent  atomic.Uint64
	lastReceived               atomic.Int64 // unix nanoseconds, 0: never
}

// link forwards between one TCP connection and whoever takes and gives datagrams.
type link struct {
	conn    *net.TCPConn
	queue   *frameQueue
	deliver func(batch []byte, segment int) (lost int, reason error)
	limits  limits
	count   *traffic
	keep    bool // remember what was sent last, for whoever follows this connection
	started time.Time

	heard   atomic.Bool   // something came from TCP
	retired chan struct{} // closed when nothing more is to be sent here
	stop    chan struct{}
	once    sync.Once
	reason  string
	raw     syscall.RawConn
	try     func(uintptr) bool
	busy    atomic.Bool // somebody sends: flush or write, who alone may touch what follows
	handed  chan struct{}
	chunk   []byte
	left    int // bytes of chunk that are gone already
	tried   int
	fault   error
	older   []byte
	newer   []byte
	sentAt  time.Time
}

func newLink(conn *net.TCPConn, queue *frameQueue, limits limits, count *traffic,
	deliver func([]byte, int) (int, error)) (*link, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &link{
		conn: conn, raw: raw, queue: queue, deliver: deliver, limits: limits, count: count, started: time.Now(),
		stop: make(chan struct{}), retired: make(chan struct{}), handed: make(chan struct{}, 1),
	}
	l.try = l.tryWrite
	l.busy.Store(true) // write has the first word
	return l, nil
}

// run forwards until one side ends or end is called; first is sent before anything else. Returns why it ended.
func (l *link) run(first []byte) string {
	var writer sync.WaitGroup
	writer.Add(1)
	go func() {
		defer writer.Done()
		if reason := l.write(first); reason != "" {
			l.end(reason)
		}
	}()
	reason := l.read()
	l.end(reason)
	writer.Wait()
	_ = l.conn.Close()
	return l.reason
}

// end says why, once; what waits in the queue is still sent where that goes at once.
func (l *link) end(reason string) {
	l.once.Do(func() {
		l.reason = reason
		close(l.stop)
		// Wakes both directions; the writer sets a deadline of its own for what is left.
		_ = l.conn.SetReadDeadline(time.Unix(1, 0))
		_ = l.conn.SetWriteDeadline(time.Now().Add(drainTime))
	})
}

// retire stops sending here: another connection sends from now on. What still comes is delivered until end.
func (l *link) retire() { close(l.retired) }

func (l *link) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

func (l *link) read() string {
	var reader frameReader
	var set time.Time
	last, partial, spoke := l.started, time.Time{}, time.Time{}
	for {
		now := time.Now()
		limit, reason := l.nextLimit(spoke, last, partial)
		if !limit.IsZero() && !now.Before(limit) {
			return reason
		}
		wake := now.Add(wakeEvery)
		if !limit.IsZero() && limit.Before(wake) {
			wake = limit
		}
		if wake.Before(set) || wake.Sub(set) > deadlineSlack || !partial.IsZero() {
			set = wake
			if err := l.conn.SetReadDeadline(wake); err != nil {
				return failed
			}
			if l.stopped() { // which may have set it before we did
				return byUs
			}
		}
		// Who is answered is no stranger to WireGuard, which answers nobody else.
		reader.small = l.limits.answer > 0 && l.count.toTCP.Load() == 0
		n, err := l.conn.Read(reader.space())
		if n > 0 {
			last = time.Now()
			if spoke.IsZero() {
				spoke = last
			}
			l.heard.Store(true)
			l.count.lastReceived.Store(last.UnixNano())
			reader.filled(n)
			if reason := l.forward(&reader); reason != "" {
				return reason
			}
			partial = reader.partial(last)
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if l.stopped() {
				return byUs
			}
			reader.rest()
			l.queue.rest()
		case errors.Is(err, io.EOF) && !partial.IsZero():
			return truncated
		case errors.Is(err, io.EOF):
			return byPeer
		default:
			return failed
		}
	}
}

// nextLimit is when the connection has to end unless something comes, and why it would.
func (l *link) nextLimit(spoke, last, partial time.Time) (limit time.Time, reason string) {
	sooner := func(from time.Time, within time.Duration, why string) {
		if at := from.Add(within); within > 0 && (limit.IsZero() || at.Before(limit)) {
			limit, reason = at, why
		}
	}
	sooner(last, l.limits.receive, receiveLimit)
	if spoke.IsZero() {
		sooner(l.started, l.limits.first, firstLimit)
	} else if l.count.toTCP.Load() == 0 {
		sooner(spoke, l.limits.answer, answerLimit)
	}
	if !partial.IsZero() {
		sooner(partial, l.limits.frame, frameLimit)
	}
	return limit, reason
}

// forward hands on every complete frame. Returns why the connection must end, or "".
func (l *link) forward(reader *frameReader) string {
	defer func() {
		l.count.empty.Add(reader.empty)
		reader.empty = 0
	}()
	for {
		batch, segment, count, err := reader.batch(mostSegments)
		if err != nil {
			return oversize
		}
		if count == 0 {
			return ""
		}
		lost, reason := l.deliver(batch, segment)
		if errors.Is(reason, net.ErrClosed) {
			return udpFailed
		}
		l.count.toUDP.Add(uint64(count - lost))
		l.count.toUDPBytes.Add(uint64(len(batch)))
		l.count.lostUDP.Add(uint64(lost))
	}
}

// flush sends what is in the queue as far as TCP takes it at once; called by whoever has put something there. So most
// datagrams cross without a change of goroutine. What TCP does not take is left to write, which can wait.
func (l *link) flush() {
	for l.busy.CompareAndSwap(false, true) {
		for {
			if l.stopped() || l.leaving() {
				l.busy.Store(false)
				return
			}
			if l.chunk = l.queue.take(l.chunk); len(l.chunk) == 0 {
				break
			}
			if l.keep {
				l.remember(l.chunk)
			}
			l.tried, l.fault = 0, nil
			if err := l.raw.Write(l.try); err != nil && l.fault == nil {
				l.fault = err
			}
			if l.tried < len(l.chunk) {
				// Including every fault: write meets it again, and says what it was.
				l.left = l.tried
				l.handed <- struct{}{}
				return
			}
			l.sent(l.chunk)
		}
		l.busy.Store(false)
		if !l.queue.waiting() {
			return
		}
	}
}

// tryWrite is one write that does not wait.
func (l *link) tryWrite(fd uintptr) bool {
	for l.tried < len(l.chunk) {
		n, err := syscall.Write(int(fd), l.chunk[l.tried:])
		if err == syscall.EINTR {
			continue
		}
		if n > 0 {
			l.tried += n
		}
		l.fault = err
		break
	}
	return true
}

func (l *link) leaving() bool {
	select {
	case <-l.retired:
		return true
	default:
		return false
	}
}

// write sends what flush could not, and at the end what is left. Returns why it cannot.
func (l *link) write(first []byte) string {
	if len(first) > 0 {
		l.count.resent.Add(uint64(countFrames(first)))
		if reason := l.send(first, 0); reason != "" {
			return reason
		}
	}
	for {
		if reason := l.drain(); reason != "" {
			return reason
		}
		_ = l.conn.SetWriteDeadline(time.Time{})
		l.busy.Store(false)
		if l.queue.waiting() && !l.leaving() && l.busy.CompareAndSwap(false, true) {
			continue
		}
		select {
		case <-l.handed:
			if reason := l.send(l.chunk, l.left); reason != "" {
				return reason
			}
		case <-l.retired:
			select {
			case <-l.handed:
				return l.send(l.chunk, l.left)
			default:
			}
			return ""
		case <-l.stop:
			_ = l.conn.SetWriteDeadline(time.Now().Add(drainTime))
			if l.busy.CompareAndSwap(false, true) {
				if reason := l.drain(); reason != "" {
					return reason
				}
				_ = l.conn.CloseWrite()
			}
			return ""
		}
	}
}

// drain sends all that is in the queue, waiting for TCP where it must.
func (l *link) drain() string {
	for !l.leaving() {
		if l.chunk = l.queue.take(l.chunk); len(l.chunk) == 0 {
			break
		}
		if l.keep {
			l.remember(l.chunk)
		}
		if reason := l.send(l.chunk, 0); reason != "" {
			return reason
		}
	}
	return ""
}

// send writes a chunk of whole frames, of which the first bytes may be gone already.
func (l *link) send(chunk []byte, gone int) string {
	if l.limits.send > 0 && !l.stopped() {
		_ = l.conn.SetWriteDeadline(time.Now().Add(l.limits.send))
		if l.stopped() {
			_ = l.conn.SetWriteDeadline(time.Now().Add(drainTime))
		}
	}
	if _, err := l.conn.Write(chunk[gone:]); err != nil {
		l.count.lostTCP.Add(uint64(countFrames(chunk)))
		switch {
		case l.stopped():
			return byUs
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
			return sendLimit
		}
		return failed
	}
	l.sent(chunk)
	return ""
}

func (l *link) sent(chunk []byte) {
	frames := countFrames(chunk)
	l.count.toTCP.Add(uint64(frames))
	l.count.toTCPBytes.Add(uint64(len(chunk) - headerLen*frames))
}

// remember keeps between tailBytes and three times as much of what was sent last.
func (l *link) remember(chunk []byte) {
	if len(l.newer) > tailBytes {
		l.older, l.newer = l.newer, l.older[:0]
	}
	l.newer = append(l.newer, chunk...)
	l.sentAt = time.Now()
}

// tail is what was sent last and may not have arrived; good once run has ended.
//
// When a connection is lost, so is what its kernel buffers held.  Among that may be the datagrams by which WireGuard at
// the other end would learn where its peer is now; it discards those that it has had already.
func (l *link) tail() []byte {
	if time.Since(l.sentAt) > tailAge {
		return nil
	}
	return append(append([]byte(nil), l.older...), l.newer...)
}
