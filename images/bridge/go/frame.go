package main

import (
	"encoding/binary"
	"errors"
	"time"
)

// The wire format of mullvad/udp-over-tcp: a 16-bit big-endian length, then so many bytes of one datagram.
const (
	headerLen   = 2
	maxDatagram = 65507 // what a UDP datagram over IPv4 can hold; a longer frame cannot be one
	firstBuffer = 4 << 10
	mostBuffer  = 256 << 10
	smallBuffer = 64<<10 + headerLen // holds any frame
)

var errOversize = errors.New("a frame is longer than a UDP datagram can be")

// frameReader cuts datagrams out of the bytes of a TCP stream. Its buffer grows with what one read brings, so that an
// idle connection holds little, and never past mostBuffer, or smallBuffer where small says so.
type frameReader struct {
	buf        []byte
	start, end int       // unprocessed bytes
	began      time.Time // when the first bytes of an incomplete frame came; zero without one
	empty      uint64    // frames of no length, skipped
	small      bool
}

// space is where the next bytes of the stream go: at least one.
func (r *frameReader) space() []byte {
	if r.start == r.end {
		r.start, r.end = 0, 0
	}
	if r.buf == nil {
		r.buf = make([]byte, firstBuffer)
	}
	need := r.end - r.start + 1
	if rest := r.buf[r.start:r.end]; len(rest) >= headerLen {
		need = max(need, headerLen+int(binary.BigEndian.Uint16(rest)))
	}
	if need > len(r.buf) {
		grown := make([]byte, min(r.most(), max(2*len(r.buf), need)))
		r.end = copy(grown, r.buf[r.start:r.end])
		r.start, r.buf = 0, grown
	} else if r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	return r.buf[r.end:]
}

func (r *frameReader) most() int {
	if r.small {
		return smallBuffer
	}
	return mostBuffer
}

// filled says that n bytes were read into space.
func (r *frameReader) filled(n int) {
	whole := n == len(r.buf)-r.end
	r.end += n
	if whole && len(r.buf) < r.most() {
		// The stream brings more than fits: fewer, larger reads from now on.
		grown := make([]byte, min(r.most(), 2*len(r.buf)))
		r.end = copy(grown, r.buf[r.start:r.end])
		r.start, r.buf = 0, grown
	}
}

// batch gives the next datagrams that may be sent by one call: bytes of so many datagrams of segment length each, the
// last one perhaps shorter. Empty when no complete frame is left. The bytes are good until space is called.
func (r *frameReader) batch(mostSegments int) (bytes []byte, segment, count int, err error) {
	first, size, err := r.next()
	if err != nil || size < 0 {
		return nil, 0, 0, err
	}
	segment, count = size, 1
	to := first + size
	for count < mostSegments && size == segment {
		var from int
		if from, size = r.peek(segment); size < 0 || to-first+size > maxDatagram {
			break
		}
		// In place: the header that stood between them is not needed any more.
		copy(r.buf[to:], r.buf[from:from+size])
		to += size
		count++
		r.start = from + size
	}
	return r.buf[first:to], segment, count, nil
}

// next takes the next complete frame that is not empty: where its datagram is; size -1 when there is none yet.
func (r *frameReader) next() (from, size int, err error) {
	for {
		rest := r.buf[r.start:r.end]
		if len(rest) < headerLen {
			break
		}
		size = int(binary.BigEndian.Uint16(rest))
		if size > maxDatagram {
			return 0, 0, errOversize
		}
		if len(rest) < headerLen+size {
			break
		}
		from = r.start + headerLen
		r.start = from + size
		r.began = time.Time{}
		if size > 0 {
			return from, size, nil
		}
		r.empty++
	}
	return 0, -1, nil
}

// peek looks at the next frame without taking it: size -1 unless it is complete, not empty and at most that long.
func (r *frameReader) peek(most int) (from, size int) {
	rest := r.buf[r.start:r.end]
	if len(rest) < headerLen {
		return 0, -1
	}
	size = int(binary.BigEndian.Uint16(rest))
	if size == 0 || size > most || len(rest) < headerLen+size {
		return 0, -1
	}
	return r.start + headerLen, size
}

// partial says since when a frame has been incomplete, once all complete ones are taken; zero when none is.
func (r *frameReader) partial(now time.Time) time.Time {
	if r.start == r.end {
		r.began = time.Time{}
	} else if r.began.IsZero() {
		r.began = now
	}
	return r.began
}

// rest gives back memory that an idle connection does not need.
func (r *frameReader) rest() {
	if r.start == r.end && len(r.buf) > firstBuffer {
		r.buf, r.start, r.end = nil, 0, 0
	}
}
