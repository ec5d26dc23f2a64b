package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// sink is a TCP server that is no bridge: it takes connections and says nothing.
func sink(t testing.TB, take func(conn net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go take(conn)
		}
	}()
	return listener.Addr().String()
}

func at(addresses ...string) (found []Endpoint) {
	for _, address := range addresses {
		found = append(found, Endpoint{Address: address})
	}
	return found
}

func activeOf(c *runningClient) string {
	active, _ := c.endpoints.states()
	if active == nil {
		return ""
	}
	return active.Address
}

func TestTheClientWritesTheFramesOfMullvad(t *testing.T) {
	got := make(chan []byte, 10)
	address := sink(t, func(conn net.Conn) {
		bytes := make([]byte, len(fromMullvad))
		if _, err := io.ReadFull(conn, bytes); err == nil {
			got <- bytes
			_, _ = conn.Write(fromMullvad)
		}
	})
	client := startClientEnd(t, at(address), nil)
	local := dialUDP(t, client.address)
	for _, datagram := range [][]byte{[]byte("berth"), filledWith(300, 0xab), {0xff}} {
		_, _ = local.Write(datagram)
		time.Sleep(20 * time.Millisecond)
	}
	select {
	case found := <-got:
		if !bytes.Equal(found, fromMullvad) {
			t.Errorf("%v", found)
		}
	case <-time.After(soon):
		t.Fatal("nothing came")
	}
	buffer := make([]byte, 1000)
	_ = local.SetReadDeadline(time.Now().Add(soon))
	for _, wanted := range []int{5, 300, 1} {
		if n, err := local.Read(buffer); err != nil || n != wanted {
			t.Errorf("%d bytes for %d, %v", n, wanted, err)
		}
	}
}

func TestEachLocalPeerHasAConnectionOfItsOwn(t *testing.T) {
	server := startServerEnd(t, echo(t), nil)
	client := startClientEnd(t, at(server.address), func(options *clientOptions, _ *failoverOptions) { options.most = 3 })
	for _, text := range []string{"a", "b", "c"} {
		if !crosses(dialUDP(t, client.address), text) {
			t.Fatalf("%s does not cross", text)
		}
	}
	if open := server.stats().Open; open < 3 {
		t.Errorf("%d connections", open)
	}
	_, _ = dialUDP(t, client.address).Write([]byte("one too many"))
	eventually(t, "a fourth is refused", func() bool { return client.stats().Refused["too many"] == 1 })
	if shown := client.stats(); shown.Open != 3 || len(shown.Connections) != 3 {
		t.Errorf("%d open", shown.Open)
	}
}

func TestALocalPeerThatIsIdleIsForgotten(t *testing.T) {
	server := startServerEnd(t, echo(t), nil)
	client := startClientEnd(t, at(server.address), func(options *clientOptions, _ *failoverOptions) {
		options.idle = 300 * time.Millisecond
	})
	local := dialUDP(t, client.address)
	if !crosses(local, "once") {
		t.Fatal("it does not cross")
	}
	eventually(t, "it is forgotten", func() bool { return client.stats().Open == 0 && server.stats().Open == 0 })
	if !crosses(local, "again") {
		t.Error("it is not known anew")
	}
	eventually(t, "both are counted", func() bool { return client.stats().Totals.ToTCP.Datagrams >= 2 })
}

func TestTheClientGoesToTheNextEndpointAndComesBack(t *testing.T) {
	target := echo(t)
	first, second := startServerEnd(t, target, nil), startServerEnd(t, target, nil)
	client := startClientEnd(t, at(first.address, second.address), nil)
	local := dialUDP(t, client.address)
	if !crosses(local, "first") || activeOf(client) != first.address {
		t.Fatalf("%s is active", activeOf(client))
	}
	if err := first.setAccepting(false, "test"); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	if !crosses(local, "second") || activeOf(client) != second.address {
		t.Fatalf("%s is active", activeOf(client))
	}
	if gap := time.Since(started); gap > 2*time.Second {
		t.Errorf("that took %v", gap)
	}
	if err := first.setAccepting(true, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it returns to the preferred one", func() bool { return activeOf(client) == first.address })
	if !crosses(local, "first again") {
		t.Error("it does not cross after the return")
	}
	eventually(t, "the other connection is closed", func() bool { return second.stats().Open == 0 })
	if moves := client.stats().Failovers; moves != 2 {
		t.Errorf("%d failovers", moves)
	}
}

func TestAnotherBridgeOfTheSameNodeComesFirst(t *testing.T) {
	target := echo(t)
	var servers []*runningServer
	for range 3 {
		servers = append(servers, startServerEnd(t, target, nil))
	}
	client := startClientEnd(t, []Endpoint{
		{servers[0].address, "a"}, {servers[1].address, "b"}, {servers[2].address, "a"},
	}, nil)
	local := dialUDP(t, client.address)
	if !crosses(local, "one") {
		t.Fatal("it does not cross")
	}
	_ = servers[0].setAccepting(false, "test")
	if !crosses(local, "two") || activeOf(client) != servers[2].address {
		t.Errorf("not the other one of node a: %s", activeOf(client))
	}
	_ = servers[2].setAccepting(false, "test")
	if !crosses(local, "three") || activeOf(client) != servers[1].address {
		t.Errorf("not the one of node b: %s", activeOf(client))
	}
}

func TestAnotherListMovesWithoutARestart(t *testing.T) {
	target := echo(t)
	first, second := startServerEnd(t, target, nil), startServerEnd(t, target, nil)
	client := startClientEnd(t, at(first.address), nil)
	local := dialUDP(t, client.address)
	if !crosses(local, "first") {
		t.Fatal("it does not cross")
	}
	client.endpoints.replace(at(second.address))
	eventually(t, "it moves", func() bool { return second.stats().Open == 1 && first.stats().Open == 0 })
	if !crosses(local, "second") {
		t.Error("it does not cross after the move")
	}
	client.endpoints.replace(nil)
	eventually(t, "nobody is left to go to", func() bool { return second.stats().Open == 0 })
	client.endpoints.replace(at(first.address))
	if !crosses(local, "first again") {
		t.Error("it does not cross after an empty list")
	}
}

func TestAnEndpointThatClosesAtOnceIsLeftAlone(t *testing.T) {
	server := startServerEnd(t, echo(t), nil)
	rude := sink(t, func(conn net.Conn) { _ = conn.Close() })
	client := startClientEnd(t, at(rude, server.address), nil)
	if !crosses(dialUDP(t, client.address), "hello") {
		t.Error("it does not cross")
	}
	time.Sleep(time.Second)
	if activeOf(client) != server.address {
		t.Error("it went back to one that closes at once")
	}
}

func TestAnEndpointBehindWhichNobodyAnswersIsLeft(t *testing.T) {
	server := startServerEnd(t, echo(t), nil)
	silentOne := sink(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	client := startClientEnd(t, at(silentOne, server.address), func(options *clientOptions, _ *failoverOptions) {
		options.silentAfter = 200 * time.Millisecond
	})
	local := dialUDP(t, client.address)
	handshake := append([]byte{1}, filledWith(initiation-1, 0)...)
	_ = local.SetReadDeadline(time.Now().Add(soon))
	go func() {
		for range 50 {
			_, _ = local.Write(handshake)
			time.Sleep(100 * time.Millisecond)
		}
	}()
	if n, err := local.Read(make([]byte, 1000)); err != nil || n != initiation {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if activeOf(client) != server.address {
		t.Error("the silent one is active")
	}
	time.Sleep(time.Second)
	if activeOf(client) != server.address {
		t.Error("it went back, only because the silent one takes connections")
	}
}

// What was sent last on a lost connection is sent again on the next: the datagrams by which WireGuard at the other end
// would learn where its peer is now may be among it.
func TestTheLastDatagramsAreSentAgain(t *testing.T) {
	got := make(chan []byte, 100)
	address := sink(t, func(conn net.Conn) {
		datagram, err := readFrame(conn)
		if err == nil {
			got <- datagram
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	})
	client := startClientEnd(t, at(address), nil)
	_, _ = dialUDP(t, client.address).Write([]byte("only once"))
	for range 2 {
		select {
		case datagram := <-got:
			if string(datagram) != "only once" {
				t.Errorf("%q", datagram)
			}
		case <-time.After(soon):
			t.Fatal("it is not sent again")
		}
	}
	if resent := client.stats().Totals.Resent; resent == 0 {
		t.Error("that is not counted")
	}
}

func TestServersThatAreKilledOverAndOver(t *testing.T) {
	target := echo(t)
	servers := []*runningServer{startServerEnd(t, target, nil), startServerEnd(t, target, nil)}
	client := startClientEnd(t, at(servers[0].address, servers[1].address), nil)
	local := dialUDP(t, client.address)
	if !crosses(local, "start") {
		t.Fatal("it does not cross")
	}
	before := runtime.NumGoroutine()
	var worst time.Duration
	for range 20 {
		for _, server := range servers {
			if activeOf(client) == server.address {
				_ = server.setAccepting(false, "killed")
			} else {
				_ = server.setAccepting(true, "")
			}
		}
		started := time.Now()
		if !crosses(local, "still here") {
			t.Fatal("it does not cross")
		}
		worst = max(worst, time.Since(started))
	}
	if worst > 3*time.Second {
		t.Errorf("the longest gap was %v", worst)
	}
	eventually(t, "nothing is left of the lost ones", func() bool { return runtime.NumGoroutine() <= before+4 })
}

func TestTheFileOfEndpointsIsFollowed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	client := startClientEnd(t, nil, nil)
	log, _ := quiet()
	write(`[{"address": "one.example:1", "node": "a"}]`)
	go followFile(t.Context(), file, client.endpoints, log)
	count := func() int {
		_, all := client.endpoints.states()
		return len(all)
	}
	eventually(t, "the first list", func() bool { return count() == 1 })
	write(`[{"address": "one.example:1", "node": "a"}, {"address": "two.example:2"}]`)
	eventually(t, "the second list", func() bool { return count() == 2 })
	write(`[{"address": "nowhere"}]`)
	time.Sleep(1500 * time.Millisecond)
	if count() != 2 {
		t.Error("a wrong list was taken")
	}
}

func TestBackoffGrowsIsBoundedAndJitters(t *testing.T) {
	wait := newBackoff(100*time.Millisecond, time.Second)
	seen := map[time.Duration]bool{}
	for number, middle := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
		found := wait.next()
		if middle *= time.Millisecond; found < middle/2 || found > middle*3/2 {
			t.Errorf("wait %d is %v", number, found)
		}
		seen[found] = true
	}
	if len(seen) < 3 {
		t.Error("there is no jitter")
	}
	for range 100 {
		if found := wait.next(); found > 1500*time.Millisecond {
			t.Fatalf("%v", found)
		}
	}
	if wait.reset(); wait.next() > 150*time.Millisecond {
		t.Error("a reset changes nothing")
	}
}

func TestEndpointsAreRead(t *testing.T) {
	for text, wanted := range map[string]Endpoint{
		"host:1": {"host:1", ""}, "node-1=[fd00::1]:51840": {"[fd00::1]:51840", "node-1"},
	} {
		if found, err := parseEndpoint(text); err != nil || found != wanted {
			t.Errorf("%s: %v, %v", text, found, err)
		}
	}
	for _, text := range []string{"", "host", "host:0", "host:99999", ":1", "a=b"} {
		if found, err := parseEndpoint(text); err == nil {
			t.Errorf("%q is %v", text, found)
		}
	}
}
