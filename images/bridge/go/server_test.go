package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestDatagramsCrossByteForByte(t *testing.T) {
	server := startServerEnd(t, echo(t), nil)
	conn := connect(t, server.address)
	if _, err := conn.Write(fromMullvad); err != nil {
		t.Fatal(err)
	}
	// What comes back is what Mullvad's udp2tcp reads: the same bytes, since the frames are the same.
	back := make([]byte, len(fromMullvad))
	for got := 0; got < len(back); {
		n, err := conn.Read(back[got:])
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	if !bytes.Equal(back, fromMullvad) {
		t.Errorf("%v", back)
	}
}

func TestEveryLengthCrosses(t *testing.T) {
	conn := connect(t, startServerEnd(t, echo(t), nil).address)
	for _, size := range []int{1, 2, 147, 148, 1452, 1472, 1473, 9000, 40000, maxDatagram} {
		for range 3 {
			sent := filledWith(size, byte(size))
			if _, err := conn.Write(frame(sent)); err != nil {
				t.Fatal(err)
			}
			if found, err := readFrame(conn); err != nil || !bytes.Equal(found, sent) {
				t.Fatalf("%d bytes: %d came back, %v", size, len(found), err)
			}
		}
	}
}

func TestEveryConnectionHasASocketOfItsOwn(t *testing.T) {
	server := startServerEnd(t, echo(t), nil)
	conns := make([]net.Conn, 20)
	for number := range conns {
		conns[number] = connect(t, server.address)
		if _, err := conns[number].Write(frame([]byte{byte(number)})); err != nil {
			t.Fatal(err)
		}
	}
	for number, conn := range conns {
		if found, err := readFrame(conn); err != nil || !bytes.Equal(found, []byte{byte(number)}) {
			t.Errorf("connection %d got %v, %v", number, found, err)
		}
	}
}

func TestWhatIsNoFrameEndsItsConnectionAlone(t *testing.T) {
	for _, one := range []struct {
		name   string
		send   func(conn net.Conn)
		reason string
	}{
		{"oversize", func(conn net.Conn) { _, _ = conn.Write([]byte{0xff, 0xff, 1, 2, 3}) }, oversize},
		{"truncated", func(conn net.Conn) {
			_, _ = conn.Write(frame([]byte("whole"))[:4])
			_ = conn.(*net.TCPConn).CloseWrite()
		}, truncated},
		{"half a header", func(conn net.Conn) {
			_, _ = conn.Write([]byte{0})
			_ = conn.(*net.TCPConn).CloseWrite()
		}, truncated},
		{"nothing at all", func(net.Conn) {}, firstLimit},
		{"slowloris", func(conn net.Conn) {
			go func() {
				for _, one := range frame(filledWith(60, 1)) {
					if _, err := conn.Write([]byte{one}); err != nil {
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
			}()
		}, frameLimit},
		{"silence after a datagram", func(conn net.Conn) { _, _ = conn.Write(frame([]byte("once"))) }, receiveLimit},
		{"an end between frames", func(conn net.Conn) {
			_, _ = conn.Write(frame([]byte("once")))
			_ = conn.(*net.TCPConn).CloseWrite()
		}, byPeer},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			server := startServerEnd(t, echo(t), func(options *serverOptions) {
				options.limits.first, options.limits.frame = 300*time.Millisecond, 300*time.Millisecond
				if one.reason == receiveLimit {
					options.limits.receive = time.Second
				}
			})
			other := connect(t, server.address)
			if !answers(other, "before") {
				t.Fatal("the other connection does not work")
			}
			conn := connect(t, server.address)
			one.send(conn)
			if !closedBy(conn, 3*time.Second) {
				t.Error("it stays open")
			}
			eventually(t, "the reason is counted", func() bool { return server.stats().Closed[one.reason] >= 1 })
			if one.reason != receiveLimit && !answers(other, "after") {
				t.Error("the other connection suffered")
			}
		})
	}
}

// WireGuard answers its peers alone: who it has not answered gives the place back, however much they say.
func TestWhoIsNotAnsweredIsNotKept(t *testing.T) {
	target, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	go func() { // answers "known" alone
		heard := make([]byte, 2000)
		for {
			n, from, err := target.ReadFrom(heard)
			if err != nil {
				return
			}
			if string(heard[:n]) == "known" {
				_, _ = target.WriteTo(heard[:n], from)
			}
		}
	}()
	server := startServerEnd(t, target.LocalAddr().String(), func(options *serverOptions) {
		options.limits.answer = 300 * time.Millisecond
	})
	known, stranger := connect(t, server.address), connect(t, server.address)
	if !answers(known, "known") {
		t.Fatal("a peer is not answered")
	}
	go func() {
		for {
			if _, err := stranger.Write(frame([]byte("let me in"))); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	if !closedBy(stranger, 3*time.Second) {
		t.Error("a stranger keeps the place")
	}
	eventually(t, "the reason is counted", func() bool { return server.stats().Closed[answerLimit] == 1 })
	if !answers(known, "known") {
		t.Error("the peer suffered")
	}
}

func TestItListensOnceItCan(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := startServerEnd(t, echo(t), func(options *serverOptions) {
		options.listen, options.closed = []string{taken.Addr().String()}, true
	})
	time.Sleep(200 * time.Millisecond) // it is past its own start, which listens where that is wanted
	if server.setAccepting(true, "") == nil {
		t.Fatal("nothing is said of an address that is taken")
	}
	_ = taken.Close()
	if err := server.setAccepting(true, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it forwards", func() bool {
		conn, err := net.Dial("tcp4", taken.Addr().String())
		if err != nil {
			return false
		}
		defer conn.Close()
		return answers(conn, "x")
	})
}

func TestEmptyFramesAreIgnored(t *testing.T) {
	server := startServerEnd(t, echo(t), nil)
	conn := connect(t, server.address)
	if _, err := conn.Write(make([]byte, 2000)); err != nil {
		t.Fatal(err)
	}
	if !answers(conn, "after") {
		t.Error("the connection suffered")
	}
	if found := server.stats().Totals; found.Empty != 1000 || found.ToUDP.Datagrams != 1 {
		t.Errorf("%+v", found)
	}
}

func TestASlowButSteadySenderIsServed(t *testing.T) {
	server := startServerEnd(t, echo(t), func(options *serverOptions) { options.limits.frame = 2 * time.Second })
	conn := connect(t, server.address)
	for _, one := range frame([]byte("one byte at a time")) {
		if _, err := conn.Write([]byte{one}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	if found, err := readFrame(conn); err != nil || string(found) != "one byte at a time" {
		t.Errorf("%q, %v", found, err)
	}
}

func TestLimitsOfConnections(t *testing.T) {
	server := startServerEnd(t, echo(t), func(options *serverOptions) { options.mostOfAddress, options.most = 3, 5 })
	var open []net.Conn
	for range 3 {
		open = append(open, connect(t, server.address))
	}
	if !refusedAt(t, server.address) {
		t.Error("a fourth of one address is let in")
	}
	for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := dialer.Dial("tcp4", server.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(soon))
		if !answers(conn, from) {
			t.Errorf("%s is not let in", from)
		}
	}
	if !refusedAt(t, server.address) {
		t.Error("a sixth in all is let in")
	}
	shown := server.stats()
	if shown.Refused["too many of one address"] != 1 || shown.Refused["too many"] != 1 || shown.Open != 5 {
		t.Errorf("%+v, %d open", shown.Refused, shown.Open)
	}
	_ = open[0].Close()
	_ = open[1].Close()
	eventually(t, "places are free again", func() bool { return server.stats().Open == 3 })
	if !answers(connect(t, server.address), "again") {
		t.Error("a place that is free is not given")
	}
}

// A client that takes nothing must not make the bridge hold more than its queue, and the newest datagrams are kept.
func TestAClientThatDoesNotReadIsHeldToItsQueue(t *testing.T) {
	target, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	server := startServerEnd(t, target.LocalAddr().String(), func(options *serverOptions) {
		options.queueBytes, options.tcp.send = 100_000, 4096
	})
	conn, err := (&net.Dialer{Control: tcpOptions{receive: 4096}.control}).Dial("tcp4", server.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(frame([]byte("hello"))); err != nil {
		t.Fatal(err)
	}
	_, from, err := target.ReadFrom(make([]byte, 100))
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	eventually(t, "the oldest are dropped", func() bool {
		for range 50 {
			last++
			_, _ = target.WriteTo(append(filledWith(1396, 0), byte(last>>24), byte(last>>16), byte(last>>8), byte(last)), from)
		}
		shown := server.stats()
		if len(shown.Connections) != 1 || shown.Connections[0].QueueBytes > 100_000 {
			t.Fatalf("%+v", shown.Connections)
		}
		return shown.Totals.ToTCP.Dropped > 1000
	})
	_ = conn.SetReadDeadline(time.Now().Add(soon))
	newest, before := 0, 0
	for newest < last {
		found, err := readFrame(conn)
		if err != nil {
			t.Fatalf("after datagram %d of %d: %v", newest, last, err)
		}
		newest = int(found[1397])<<16 | int(found[1398])<<8 | int(found[1399])
		if newest <= before {
			t.Fatalf("%d comes after %d", newest, before)
		}
		before = newest
	}
}

func TestATargetThatIsNotThereLosesDatagramsAndNoConnection(t *testing.T) {
	gone, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := gone.LocalAddr().String()
	_ = gone.Close()
	server := startServerEnd(t, address, nil)
	conn := connect(t, server.address)
	for range 5 {
		if _, err := conn.Write(frame([]byte("anybody?"))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	back, err := net.ListenPacket("udp4", address)
	if err != nil {
		t.Skip("somebody took the port")
	}
	defer back.Close()
	go func() {
		buffer := make([]byte, 100)
		for {
			n, from, err := back.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = back.WriteTo(buffer[:n], from)
		}
	}()
	if !answers(conn, "welcome back") {
		t.Error("the connection did not survive its target")
	}
}

func TestABridgeThatIsClosedIsClosedForAll(t *testing.T) {
	server := startServerEnd(t, echo(t), func(options *serverOptions) { options.closed = true })
	if conn, err := net.Dial("tcp4", server.address); err == nil {
		t.Errorf("%v listens before it is told to", conn.RemoteAddr())
	}
	control := httptest.NewServer(server.control())
	defer control.Close()
	put := func(path, body string) int {
		request, _ := http.NewRequest(http.MethodPut, control.URL+path, strings.NewReader(body))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	if status := put("/accept", `{"accept": true}`); status != http.StatusNoContent {
		t.Fatalf("status %d", status)
	}
	conn := connect(t, server.address)
	if !answers(conn, "open") {
		t.Error("it does not forward")
	}
	if status := put("/accept", `{"accept": false, "reason": "the node is not well"}`); status != http.StatusNoContent {
		t.Fatalf("status %d", status)
	}
	if !closedBy(conn, soon) {
		t.Error("the connection stays open")
	}
	if _, err := net.Dial("tcp4", server.address); err == nil {
		t.Error("it still listens")
	}
	if shown := server.stats(); shown.Accepting || shown.Refusal != "the node is not well" {
		t.Errorf("%+v", shown)
	}
	if put("/accept", `{"accept": true}`); !answers(connect(t, server.address), "again") {
		t.Error("it does not open again")
	}
	for body, wanted := range map[string]int{
		`{"accept": "yes"}`: 400, `{"open": true}`: 400, `nonsense`: 400,
	} {
		if status := put("/accept", body); status != wanted {
			t.Errorf("%s: status %d", body, status)
		}
	}
	if status := put("/target", `{"target": "192.0.2.1:53"}`); status != http.StatusConflict {
		t.Errorf("another target: status %d", status)
	}
}

func TestAnotherTargetMovesEverybody(t *testing.T) {
	first, second := echo(t), echo(t)
	server := startServerEnd(t, first, func(options *serverOptions) {
		options.allowed = list(t, first, second)
	})
	conn := connect(t, server.address)
	if !answers(conn, "first") {
		t.Fatal("it does not forward")
	}
	if err := server.setTarget(second); err != nil {
		t.Fatal(err)
	}
	if !closedBy(conn, soon) {
		t.Error("the connection to the former target stays")
	}
	eventually(t, "the other target", func() bool { return answers(connect(t, server.address), "second") })
}

func TestAnEndLetsOutWhatIsOnItsWay(t *testing.T) {
	server := startServerEnd(t, echo(t), nil)
	conn := connect(t, server.address)
	if _, err := conn.Write(frame([]byte("last words"))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it was echoed", func() bool { return server.stats().Totals.ToTCP.Datagrams == 1 })
	server.stop()
	if found, err := readFrame(conn); err != nil || string(found) != "last words" {
		t.Errorf("%q, %v", found, err)
	}
	if !closedBy(conn, soon) {
		t.Error("the connection stays open")
	}
}

func TestAnAddressIsNotShown(t *testing.T) {
	server := startServerEnd(t, echo(t), nil)
	conn := connect(t, server.address)
	if !answers(conn, "x") {
		t.Fatal("it does not forward")
	}
	shown, err := json.Marshal(server.stats().Connections)
	if err != nil || strings.Contains(string(shown), "127.0.0.1") {
		t.Errorf("%s", shown)
	}
	if one := server.stats().Connections[0]; one.TCP == nil || one.TCP.RTT <= 0 || one.TCP.MSS == 0 {
		t.Errorf("no RTT: %s", shown)
	}
}

// Many connections that misbehave in every way at once: nothing is left of them, and another one does not notice.
func TestNothingIsLeftOfAbuse(t *testing.T) {
	server := startServerEnd(t, echo(t), func(options *serverOptions) { options.limits.frame = 200 * time.Millisecond })
	other := connect(t, server.address)
	_ = other.SetDeadline(time.Now().Add(time.Minute))
	if !answers(other, "here") {
		t.Fatal("it does not forward")
	}
	before := runtime.NumGoroutine()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		conn, err := net.Dial("tcp4", server.address)
		if err != nil {
			t.Fatal(err)
		}
		noise := make([]byte, random.IntN(5000))
		for at := range noise {
			noise[at] = byte(random.IntN(256))
		}
		_, _ = conn.Write(noise)
		if random.IntN(2) == 0 {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		_ = conn.Close()
		if !answers(other, "still here") {
			t.Fatal("the other connection suffered")
		}
	}
	eventually(t, "only the other one is open", func() bool { return server.stats().Open == 1 })
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

// FuzzServer sends arbitrary bytes to a real server: what is a datagram comes back, and another connection works on.
func FuzzServer(f *testing.F) {
	f.Add(fromMullvad)
	f.Add([]byte{0xff, 0xff})
	f.Add([]byte{0, 0, 0, 1})
	server := startServerEnd(f, echo(f), func(options *serverOptions) { options.limits.frame = 100 * time.Millisecond })
	other := connect(f, server.address)
	_ = other.SetDeadline(time.Time{})
	f.Fuzz(func(t *testing.T, stream []byte) {
		if len(stream) > 1<<16 {
			stream = stream[:1<<16]
		}
		conn := connect(t, server.address)
		_, _ = conn.Write(stream)
		_ = conn.(*net.TCPConn).CloseWrite()
		if !closedBy(conn, soon) {
			t.Error("it stays open")
		}
		if !answers(other, "still here") {
			t.Fatal("the other connection suffered")
		}
	})
}
