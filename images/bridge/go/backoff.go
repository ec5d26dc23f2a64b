package main

import (
	"math/rand/v2"
	"time"
)

// backoff doubles from first to most, each time with a jitter of a half, so that many who lost the same server do not
// come back at the same moment.
type backoff struct {
	first, most time.Duration
	failures    int
}

func newBackoff(first, most time.Duration) backoff { return backoff{first: first, most: most} }

func (b *backoff) next() time.Duration {
	wait := b.most
	if b.failures < 30 {
		wait = min(b.most, b.first<<b.failures)
	}
	b.failures++
	return jitter(wait)
}

func (b *backoff) reset() { b.failures = 0 }

// jitter is between a half and three halves.
func jitter(d time.Duration) time.Duration {
	return d/2 + time.Duration(rand.Int64N(int64(d)+1))
}

// slots numbers what is open with the least numbers that are not in use, so that metrics have few series.
type slots struct{ used []bool }

func (s *slots) take() int {
	for slot, used := range s.used {
		if !used {
			s.used[slot] = true
			return slot
		}
	}
	s.used = append(s.used, true)
	return len(s.used) - 1
}

func (s *slots) free(slot int) { s.used[slot] = false }
