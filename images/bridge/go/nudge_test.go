package main

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestANewConnectionNudgesTheTunnel(t *testing.T) {
	inside, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inside.Close() })
	nudges := make(chan int, 100)
	go func() {
		buffer := make([]byte, 10)
		for {
			n, _, err := inside.ReadFromUDP(buffer)
			if err != nil {
				return
			}
			nudges <- n
		}
	}()
	target := echo(t)
	first, second := startServerEnd(t, target, nil), startServerEnd(t, target, nil)
	client := startClientEnd(t, at(first.address, second.address), func(options *clientOptions, _ *failoverOptions) {
		options.nudge = []netip.AddrPort{inside.LocalAddr().(*net.UDPAddr).AddrPort()}
	})
	local := dialUDP(t, client.address)
	if !crosses(local, "first") {
		t.Fatal("it does not cross")
	}
	eventually(t, "nudges of the first connection", func() bool { return len(nudges) == len(nudgeAfter) })
	if err := first.setAccepting(false, "test"); err != nil {
		t.Fatal(err)
	}
	// The local peer says nothing meanwhile: that is what it is for.
	eventually(t, "nudges of the second", func() bool { return len(nudges) == 2*len(nudgeAfter) })
	if n := <-nudges; n != 1 {
		t.Errorf("%d bytes", n)
	}
}

func TestALullIsNoticedAfterMuchAndSoonLeftAlone(t *testing.T) {
	var pause lull
	step := func(received uint64, later time.Duration) bool {
		pause.at = pause.at.Add(-later)
		return pause.due(received)
	}
	if step(100, 0) || step(100, time.Minute) {
		t.Error("keepalives alone are no reason")
	}
	if step(muchBytes+100, 0) || step(muchBytes+100, lullFirst/2) {
		t.Error("it is too early")
	}
	for at, expected := range []bool{true, true, true, false} { // after 2, 4 and 8 seconds
		if step(muchBytes+100, lullFirst<<at) != expected {
			t.Errorf("lull %d", at)
		}
	}
	if step(muchBytes+200, 0) || step(muchBytes+200, time.Minute) {
		t.Error("a keepalive begins it anew")
	}
	if step(3*muchBytes, 0) || !step(3*muchBytes, lullFirst) {
		t.Error("more data does not")
	}
}
