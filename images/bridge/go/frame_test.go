package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

func frame(datagrams ...[]byte) (stream []byte) {
	for _, one := range datagrams {
		stream = binary.BigEndian.AppendUint16(stream, uint16(len(one)))
		stream = append(stream, one...)
	}
	return stream
}

func filledWith(size int, with byte) []byte { return bytes.Repeat([]byte{with}, size) }

// feed gives the reader a stream in pieces, and takes all datagrams after each.
func feed(t testing.TB, reader *frameReader, stream []byte, piece int) (found [][]byte, err error) {
	t.Helper()
	for len(stream) > 0 {
		n := copy(reader.space()[:1], stream[:1])
		if piece > 1 {
			room := reader.space()
			n = copy(room[:min(len(room), piece)], stream)
		}
		reader.filled(n)
		stream = stream[n:]
		for {
			batch, segment, count, err := reader.batch(mostSegments)
			if err != nil {
				return found, err
			}
			if count == 0 {
				break
			}
			if len(batch) > maxDatagram || count > mostSegments || len(batch) > segment*count || len(batch) <= segment*(count-1) {
				t.Fatalf("a batch of %d bytes in %d datagrams of %d", len(batch), count, segment)
			}
			for len(batch) > 0 {
				size := min(segment, len(batch))
				found = append(found, bytes.Clone(batch[:size]))
				batch = batch[size:]
			}
		}
		if len(reader.buf) > mostBuffer {
			t.Fatalf("the buffer has grown to %d", len(reader.buf))
		}
	}
	return found, nil
}

// What Mullvad's udp2tcp writes for the datagrams "berth", 300 bytes of 0xab and one of 0xff, byte for byte.
var fromMullvad = append(append([]byte{0, 5, 'b', 'e', 'r', 't', 'h', 1, 44}, filledWith(300, 0xab)...), 0, 1, 0xff)

func TestFramesOfMullvadAreRead(t *testing.T) {
	for _, piece := range []int{1, 2, 3, 7, 1000} {
		found, err := feed(t, &frameReader{}, fromMullvad, piece)
		if err != nil || len(found) != 3 {
			t.Fatalf("pieces of %d: %d datagrams, %v", piece, len(found), err)
		}
		if string(found[0]) != "berth" || !bytes.Equal(found[1], filledWith(300, 0xab)) || found[2][0] != 0xff {
			t.Errorf("pieces of %d: %v", piece, found)
		}
	}
}

func TestWhatIsOfOneLengthIsOneBatch(t *testing.T) {
	var reader frameReader
	reader.filled(copy(reader.space(), frame(
		filledWith(100, 1), filledWith(100, 2), filledWith(40, 3), filledWith(100, 4), filledWith(101, 5))))
	want := [][3]int{{240, 100, 3}, {100, 100, 1}, {101, 101, 1}, {0, 0, 0}}
	for at, wanted := range want {
		batch, segment, count, err := reader.batch(mostSegments)
		if err != nil || [3]int{len(batch), segment, count} != wanted {
			t.Errorf("batch %d: %d bytes of %d, %d datagrams, %v", at, len(batch), segment, count, err)
		}
	}
}

func TestABatchIsBounded(t *testing.T) {
	var all [][]byte
	for range 200 {
		all = append(all, filledWith(1400, 7))
	}
	found, err := feed(t, &frameReader{}, frame(all...), 1<<20)
	if err != nil || len(found) != len(all) {
		t.Fatalf("%d datagrams, %v", len(found), err)
	}
}

func TestEmptyFramesAreSkippedAndCounted(t *testing.T) {
	var reader frameReader
	found, err := feed(t, &reader, frame(nil, []byte("a"), nil, nil, []byte("b"), nil), 1000)
	if err != nil || len(found) != 2 || reader.empty != 4 {
		t.Errorf("%d datagrams, %d empty, %v", len(found), reader.empty, err)
	}
}

func TestAFrameThatNoDatagramCanHoldIsRefused(t *testing.T) {
	for length := maxDatagram - 1; length <= 65535; length++ {
		stream := binary.BigEndian.AppendUint16(frame([]byte("before")), uint16(length))
		found, err := feed(t, &frameReader{}, stream, 1000)
		if len(found) != 1 || errors.Is(err, errOversize) != (length > maxDatagram) {
			t.Fatalf("length %d: %d datagrams, %v", length, len(found), err)
		}
	}
}

func TestTheLongestDatagramPasses(t *testing.T) {
	found, err := feed(t, &frameReader{}, frame(filledWith(maxDatagram, 9), []byte("after")), 4096)
	if err != nil || len(found) != 2 || len(found[0]) != maxDatagram || string(found[1]) != "after" {
		t.Errorf("%d datagrams, %v", len(found), err)
	}
}

func TestAPartialFrameIsKnownSinceItsFirstByte(t *testing.T) {
	var reader frameReader
	first, second := time.Unix(100, 0), time.Unix(200, 0)
	_, _ = feed(t, &reader, []byte{0}, 1)
	if since := reader.partial(first); !since.Equal(first) {
		t.Errorf("half a header: since %v", since)
	}
	_, _ = feed(t, &reader, []byte{3, 'a'}, 2)
	if since := reader.partial(second); !since.Equal(first) {
		t.Errorf("more of the same frame: since %v", since)
	}
	_, _ = feed(t, &reader, []byte{'b', 'c', 0}, 3)
	if since := reader.partial(second); !since.Equal(second) {
		t.Errorf("the next frame: since %v", since)
	}
	_, _ = feed(t, &reader, []byte{0}, 1)
	if since := reader.partial(second); !since.IsZero() {
		t.Errorf("nothing is left: since %v", since)
	}
}

func TestAnIdleReaderHoldsLittle(t *testing.T) {
	var reader frameReader
	if _, err := feed(t, &reader, frame(filledWith(60000, 1), filledWith(60000, 1)), 1<<20); err != nil {
		t.Fatal(err)
	}
	if reader.rest(); len(reader.buf) > firstBuffer {
		t.Errorf("%d bytes are held", len(reader.buf))
	}
	found, err := feed(t, &reader, frame([]byte("again")), 1000)
	if err != nil || len(found) != 1 {
		t.Errorf("after a rest: %d datagrams, %v", len(found), err)
	}
}

// reference is the format as its one sentence says it.
func reference(stream []byte) (found [][]byte, oversize bool) {
	for len(stream) >= 2 {
		size := int(stream[0])<<8 | int(stream[1])
		if size > maxDatagram {
			return found, true
		}
		if len(stream) < 2+size {
			return found, false
		}
		if size > 0 {
			found = append(found, stream[2:2+size])
		}
		stream = stream[2+size:]
	}
	return found, false
}

func FuzzFrameReader(f *testing.F) {
	f.Add(fromMullvad, 1)
	f.Add(frame(filledWith(1452, 1), filledWith(1452, 2), filledWith(80, 3), nil, []byte("x")), 700)
	f.Add([]byte{0xff, 0xff, 0, 0}, 3)
	f.Add([]byte{0, 0, 0, 0, 0}, 2)
	f.Fuzz(func(t *testing.T, stream []byte, piece int) {
		piece = 1 + abs(piece)%70000
		wanted, oversize := reference(stream)
		found, err := feed(t, &frameReader{}, stream, piece)
		if (err != nil) != oversize || len(found) != len(wanted) {
			t.Fatalf("%d datagrams for %d, %v", len(found), len(wanted), err)
		}
		for at := range found {
			if !bytes.Equal(found[at], wanted[at]) {
				t.Fatalf("datagram %d differs", at)
			}
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}
