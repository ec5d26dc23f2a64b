package main

import (
	"bytes"
	"testing"
)

func taken(q *frameQueue) (found [][]byte) {
	for {
		chunk := q.take(nil)
		if len(chunk) == 0 {
			return found
		}
		part, _ := reference(chunk)
		found = append(found, part...)
	}
}

func TestAQueueGivesWhatItGotFramed(t *testing.T) {
	q := newFrameQueue(1 << 20)
	if count := q.push([]byte("aaaabbbbcc"), 4); count != 3 {
		t.Errorf("%d datagrams", count)
	}
	if chunk := q.take(nil); !bytes.Equal(chunk, []byte("\x00\x04aaaa\x00\x04bbbb\x00\x02cc")) {
		t.Errorf("%q", chunk)
	}
	if chunk := q.take(nil); len(chunk) != 0 || q.waiting() {
		t.Errorf("%q is left", chunk)
	}
}

func TestAFullQueueDropsTheOldestAndCounts(t *testing.T) {
	q := newFrameQueue(0) // as little as may be: one datagram of the longest kind
	for number := range 100 {
		q.push(filledWith(5000, byte(number)), 5000)
	}
	found := taken(q)
	if _, dropped := q.state(); dropped != uint64(100-len(found)) || len(found) != 13 {
		t.Errorf("%d are left, %d dropped", len(found), dropped)
	}
	for at, one := range found {
		if one[0] != byte(100-len(found)+at) {
			t.Errorf("place %d has datagram %d", at, one[0])
		}
	}
}

func TestAChunkIsOfWholeFramesAndBounded(t *testing.T) {
	q := newFrameQueue(1 << 20)
	for range 20 {
		q.push(filledWith(30000, 1), 30000)
	}
	for q.waiting() {
		if chunk := q.take(nil); len(chunk) != 2*30002 {
			t.Fatalf("a chunk of %d", len(chunk))
		}
	}
}

// FuzzFrameQueue holds the queue to a plain list of datagrams.
func FuzzFrameQueue(f *testing.F) {
	f.Add([]byte{200, 0, 3, 255, 255, 255, 0, 1})
	f.Fuzz(func(t *testing.T, steps []byte) {
		q := newFrameQueue(0)
		var model [][]byte
		size, dropped := 0, uint64(0)
		for at, step := range steps {
			if step == 0 {
				chunk := q.take(nil)
				part, _ := reference(chunk)
				for _, one := range part {
					if len(model) == 0 || !bytes.Equal(one, model[0]) {
						t.Fatalf("step %d: not the oldest", at)
					}
					size -= headerLen + len(one)
					model = model[1:]
				}
				continue
			}
			one := filledWith(int(step)*200, byte(at))
			q.push(one, len(one))
			model = append(model, one)
			for size += headerLen + len(one); size > headerLen+maxDatagram; dropped++ {
				size -= headerLen + len(model[0])
				model = model[1:]
			}
			if waiting, lost := q.state(); waiting != size || lost != dropped || cap(q.pending) > 4*(headerLen+maxDatagram) {
				t.Fatalf("step %d: %d bytes for %d, %d dropped for %d, room %d", at, waiting, size, lost, dropped, cap(q.pending))
			}
		}
	})
}
