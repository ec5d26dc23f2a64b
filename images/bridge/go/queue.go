package main

import (
	"encoding/binary"
	"sync"
)

const chunkBytes = 64 << 10 // most that is handed to TCP at once

// frameQueue holds datagrams, framed, on their way to TCP. It is bounded: where TCP does not keep up, the oldest go,
// and are counted, since the newest are worth most to whoever speaks UDP.
type frameQueue struct {
	mu      sync.Mutex
	pending []byte
	head    int // frames before it are taken or dropped
	limit   int
	dropped uint64
}

func newFrameQueue(limit int) *frameQueue {
	return &frameQueue{limit: max(limit, headerLen+maxDatagram)}
}

// push adds the datagrams of a batch, each of segment bytes and the last one perhaps shorter. Returns how many.
func (q *frameQueue) push(batch []byte, segment int) (count int) {
	q.mu.Lock()
	for len(batch) > 0 {
		size := min(segment, len(batch))
		q.room(headerLen + size)
		q.pending = binary.BigEndian.AppendUint16(q.pending, uint16(size))
		q.pending = append(q.pending, batch[:size]...)
		batch = batch[size:]
		count++
	}
	q.mu.Unlock()
	return count
}

// room drops the oldest until so many bytes more are within the limit.
func (q *frameQueue) room(bytes int) {
	for len(q.pending)-q.head+bytes > q.limit {
		q.head += headerLen + int(binary.BigEndian.Uint16(q.pending[q.head:]))
		q.dropped++
	}
	if q.head > 0 && len(q.pending)+bytes > cap(q.pending) {
		q.pending = q.pending[:copy(q.pending, q.pending[q.head:])]
		q.head = 0
	}
}

// take moves whole frames into chunk (emptied first), as many as fit; none when the queue is empty.
func (q *frameQueue) take(chunk []byte) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	from, to := q.head, q.head
	for to < len(q.pending) {
		size := headerLen + int(binary.BigEndian.Uint16(q.pending[to:]))
		if to > from && to-from+size > chunkBytes {
			break
		}
		to += size
	}
	chunk = append(chunk[:0], q.pending[from:to]...)
	q.head = to
	if q.head == len(q.pending) {
		q.head, q.pending = 0, q.pending[:0]
	}
	return chunk
}

// waiting says whether there is something to take.
func (q *frameQueue) waiting() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.head < len(q.pending)
}

// rest gives back memory that an idle connection does not need.
func (q *frameQueue) rest() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) == 0 {
		q.pending = nil
	}
}

// state gives the bytes that wait and the datagrams that were dropped.
func (q *frameQueue) state() (bytes int, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending) - q.head, q.dropped
}

// countFrames is how many frames a chunk of whole frames holds.
func countFrames(chunk []byte) (count int) {
	for at := 0; at+headerLen <= len(chunk); count++ {
		at += headerLen + int(binary.BigEndian.Uint16(chunk[at:]))
	}
	return count
}
