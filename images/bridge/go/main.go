// berth-bridge carries UDP datagrams over TCP, for WireGuard where UDP is blocked: both ends of mullvad/udp-over-tcp's
// wire format, for many at once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const usage = `berth-bridge carries UDP over TCP, in the wire format of mullvad/udp-over-tcp.

  berth-bridge tcp2udp --tcp-listen 0.0.0.0:51840 --udp-forward 10.0.0.2:51820
      beside the UDP service: takes TCP connections, each with a UDP socket of its own
  berth-bridge udp2tcp --udp-listen 127.0.0.1:51820 --tcp-forward bridge.example:51840 [--tcp-forward ...]
      at the client: takes datagrams, and keeps to the first endpoint that works

  berth-bridge tcp2udp --help, berth-bridge udp2tcp --help: all flags
`

// many is a flag that may be given more than once.
type many []string

func (m *many) String() string { return strings.Join(*m, ",") }

func (m *many) Set(value string) error {
	*m = append(*m, value)
	return nil
}

// common are the flags of both ends.
type common struct {
	noDelay                     bool
	mark, receive, send         int
	receiveTimeout, sendTimeout float64
	frameTimeout                float64
	queue, udpBuffer            int
	threads                     int
	control, level              string
	redact                      bool
}

func (c *common) register(flags *flag.FlagSet, receiveTimeout float64) {
	flags.BoolVar(&c.noDelay, "nodelay", true, "set TCP_NODELAY; WireGuard is slow without")
	flags.IntVar(&c.mark, "fwmark", 0, "set SO_MARK, so that TCP is not routed into its own tunnel (needs NET_ADMIN)")
	flags.IntVar(&c.receive, "recv-buffer", 0, "set SO_RCVBUF of TCP, `bytes`; 0: the system's")
	flags.IntVar(&c.send, "send-buffer", 0, "set SO_SNDBUF of TCP, `bytes`; 0: the system's")
	flags.Float64Var(&c.receiveTimeout, "tcp-recv-timeout", receiveTimeout,
		"close a connection on which nothing came for so many `seconds`; 0: never")
	flags.Float64Var(&c.sendTimeout, "tcp-send-timeout", 30,
		"close a connection whose other side takes nothing for so many `seconds`; 0: never")
	flags.Float64Var(&c.frameTimeout, "frame-timeout", 10,
		"close a connection on which a frame was begun and not finished for so many `seconds`; 0: never")
	flags.IntVar(&c.queue, "queue", 1<<20, "`bytes` that may wait for one TCP connection; then the oldest datagrams go")
	flags.IntVar(&c.udpBuffer, "udp-buffer", 4<<20, "SO_RCVBUF and SO_SNDBUF of UDP, `bytes`, as far as the system lets")
	flags.IntVar(&c.threads, "threads", 0,
		"threads that run at once; 0: half as many as processors, since WireGuard needs the others")
	flags.StringVar(&c.control, "control", "", "answer statistics and take changes on this unix socket, a `path`")
	flags.StringVar(&c.level, "log-level", "info", "debug, info, warning or error")
	flags.BoolVar(&c.redact, "redact", true, "show addresses in logs and statistics as short names without meaning")
}

func (c *common) limits(first float64) limits {
	return limits{
		receive: duration(c.receiveTimeout), first: duration(first), frame: duration(c.frameTimeout),
		send: duration(c.sendTimeout),
	}
}

func (c *common) tcp() tcpOptions {
	return tcpOptions{
		noDelay: c.noDelay, mark: c.mark, receive: c.receive, send: c.send, userTimeout: duration(c.sendTimeout),
	}
}

func (c *common) check() error {
	for name, value := range map[string]int{
		"fwmark": c.mark, "recv-buffer": c.receive, "send-buffer": c.send, "queue": c.queue, "udp-buffer": c.udpBuffer,
		"threads": c.threads,
	} {
		if value < 0 {
			return fmt.Errorf("--%s is %d: it must not be negative", name, value)
		}
	}
	return nil
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if err := start(ctx, os.Args[1:], os.Stdout); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "berth-bridge:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, arguments []string, out io.Writer) error {
	if len(arguments) == 0 {
		return errors.New("tell which end: tcp2udp or udp2tcp (--help tells more)")
	}
	switch arguments[0] {
	case "tcp2udp":
		return startServer(ctx, arguments[1:], out)
	case "udp2tcp":
		return startClient(ctx, arguments[1:], out)
	case "help", "-h", "--help":
		_, err := fmt.Fprint(out, usage)
		return err
	}
	return fmt.Errorf("%q is no end: it must be tcp2udp or udp2tcp", arguments[0])
}

func startServer(ctx context.Context, arguments []string, out io.Writer) error {
	var shared common
	var listen, allow many
	var target, bind string
	var most, mostOfAddress int
	var first, answer float64
	var closed bool
	flags := flag.NewFlagSet("tcp2udp", flag.ContinueOnError)
	shared.register(flags, 180)
	flags.Var(&listen, "tcp-listen", "`address:port` to take TCP connections on; may be given again")
	flags.StringVar(&target, "udp-forward", "", "`host:port` that all datagrams go to")
	flags.StringVar(&bind, "udp-bind", "", "local `address` of the UDP sockets")
	flags.Var(&allow, "allow-target",
		"what --udp-forward may be and become, `host:port` or block:port; may be given again (default: --udp-forward)")
	flags.IntVar(&most, "max-connections", 1000, "connections at once")
	flags.IntVar(&mostOfAddress, "max-per-address", 100, "connections at once of one IPv4 address or IPv6 /64")
	flags.Float64Var(&first, "first-timeout", 30,
		"close a connection on which nothing came within so many `seconds` of its start; 0: never")
	flags.Float64Var(&answer, "answer-timeout", 30,
		"close a connection that speaks and that --udp-forward has not answered for so many `seconds`; 0: never")
	flags.BoolVar(&closed, "closed", false, "do not listen before --control is told to accept")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	if len(listen) == 0 || target == "" {
		return errors.New("tcp2udp needs --tcp-listen and --udp-forward")
	}
	options := serverOptions{
		listen: listen, target: target, most: most, mostOfAddress: mostOfAddress, queueBytes: shared.queue,
		udpBuffer: shared.udpBuffer, limits: shared.limits(first), tcp: shared.tcp(),
		closed: closed,
	}
	options.limits.answer = duration(answer)
	for _, text := range allow {
		entry, err := parseAllowed(text)
		if err != nil {
			return fmt.Errorf("--allow-target: %w", err)
		}
		options.allowed = append(options.allowed, entry)
	}
	if bind != "" {
		address, err := netip.ParseAddr(bind)
		if err != nil {
			return fmt.Errorf("--udp-bind: %w", err)
		}
		options.bind = address
	}
	return serve(ctx, shared, out, func(log *slog.Logger, redact *redactor) (func(context.Context) error, http.Handler, error) {
		made, err := newServer(options, log, redact)
		if err != nil {
			return nil, nil, err
		}
		return made.run, made.control(), nil
	})
}

func startClient(ctx context.Context, arguments []string, out io.Writer) error {
	var shared common
	var listen, forward, nudge many
	var file string
	var most int
	var idle, stall, silentAfter, check, returnAfter, dial float64
	flags := flag.NewFlagSet("udp2tcp", flag.ContinueOnError)
	shared.register(flags, 0)
	flags.Var(&listen, "udp-listen", "`address:port` to take datagrams on; may be given again")
	flags.Var(&forward, "tcp-forward", "`host:port` or node=host:port of a tcp2udp; may be given again, preferred first")
	flags.Var(&nudge, "nudge",
		"send a byte of UDP to this `address:port` inside the tunnel on each new connection, so that WireGuard's other side "+
			"learns at once where it is now; may be given again")
	flags.StringVar(&file, "endpoints-file", "",
		"`path` of a JSON list of {\"address\", \"node\"}, preferred first, read again when it changes")
	flags.IntVar(&most, "max-peers", 64, "local peers at once, each with a connection of its own")
	flags.Float64Var(&idle, "peer-idle", 300, "forget a local peer that sent nothing for so many `seconds`; 0: never")
	flags.Float64Var(&stall, "stall-timeout", 3,
		"leave an endpoint that acknowledges nothing for so many `seconds`; 0: never")
	flags.Float64Var(&silentAfter, "silent-timeout", 12,
		"leave an endpoint behind which no handshake of WireGuard is answered for so many `seconds`; 0: never")
	flags.Float64Var(&check, "check-interval", 5, "`seconds` between looks at the endpoints that are not in use")
	flags.Float64Var(&returnAfter, "return-after", 30,
		"go back to the preferred endpoint when it has been well for so many `seconds`")
	flags.Float64Var(&dial, "dial-timeout", 3, "`seconds` that a connection may take")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	if len(listen) == 0 {
		return errors.New("udp2tcp needs --udp-listen")
	}
	if len(forward) == 0 && file == "" && shared.control == "" {
		return errors.New("udp2tcp needs --tcp-forward, --endpoints-file or --control")
	}
	if check <= 0 || dial <= 0 {
		return errors.New("--check-interval and --dial-timeout must be more than 0")
	}
	var list []Endpoint
	for _, text := range forward {
		one, err := parseEndpoint(text)
		if err != nil {
			return fmt.Errorf("--tcp-forward: %w", err)
		}
		list = append(list, one)
	}
	for _, address := range listen {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("--udp-listen: %w", err)
		}
	}
	options := clientOptions{
		listen: listen, most: most, idle: duration(idle), stall: duration(stall), silentAfter: duration(silentAfter),
		queueBytes: shared.queue, udpBuffer: shared.udpBuffer, limits: shared.limits(0), tcp: shared.tcp(),
	}
	for _, text := range nudge {
		target, err := netip.ParseAddrPort(text)
		if err != nil {
			return fmt.Errorf("--nudge: %w", err)
		}
		options.nudge = append(options.nudge, target)
	}
	failover := defaultFailover()
	failover.checkEvery, failover.returnAfter, failover.dialTimeout = duration(check), duration(returnAfter), duration(dial)
	return serve(ctx, shared, out, func(log *slog.Logger, redact *redactor) (func(context.Context) error, http.Handler, error) {
		all := newEndpoints(failover, options.tcp, log, redact)
		all.replace(list)
		made := newClient(options, all, log, redact)
		run := func(ctx context.Context) error {
			if file != "" {
				go followFile(ctx, file, all, log)
			}
			return made.run(ctx)
		}
		return run, made.control(), nil
	})
}

func parse(flags *flag.FlagSet, arguments []string) error {
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag of %s", flags.Arg(0), flags.Name())
	}
	return nil
}

// serve runs one end with its log and control socket.
func serve(ctx context.Context, shared common, out io.Writer,
	make func(*slog.Logger, *redactor) (func(context.Context) error, http.Handler, error)) error {
	if err := shared.check(); err != nil {
		return err
	}
	if shared.threads > 0 {
		runtime.GOMAXPROCS(shared.threads)
	} else if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS((runtime.NumCPU() + 1) / 2)
	}
	log, err := newLog(out, shared.level)
	if err != nil {
		return err
	}
	redact, err := newRedactor(shared.redact)
	if err != nil {
		return err
	}
	run, handler, err := make(log.With("component", "forward"), redact)
	if err != nil {
		return err
	}
	if shared.control != "" {
		if err := serveControl(ctx, shared.control, handler, log); err != nil {
			return fmt.Errorf("cannot answer on --control %s: %w", shared.control, err)
		}
	}
	err = run(ctx)
	log.Info("stopped", "component", "main")
	return err
}
