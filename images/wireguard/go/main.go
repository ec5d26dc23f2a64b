// berth's wireguard-go: the module as it is, with the questions of device/berth.go on its control socket.
//
// Usage: wireguard-go [--foreground] INTERFACE, or wireguard-go --version.  Without --foreground it returns when the
// interface is there and goes on in the background, as wg-quick expects.  It ends by SIGTERM, SIGINT, or when its
// interface or its socket is taken away.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/ipc"
	"golang.zx2c4.com/wireguard/tun"
)

const (
	module       = "golang.zx2c4.com/wireguard"
	foreground   = "--foreground"
	socketFolder = "/var/run/wireguard/"
	startLimit   = 5 * time.Second
	startPoll    = 5 * time.Millisecond
	// Of the heap in use, by which it may grow before the garbage goes: with 10,000 peers (25 KB each) Go's own 100
	// would let it take half a gigabyte.
	heapGrowth = 30
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println(version())
		return
	}
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == foreground:
		err = serve(os.Args[2])
	case len(os.Args) == 2 && !strings.HasPrefix(os.Args[1], "-"):
		err = detach(os.Args[1])
	default:
		fmt.Fprintln(os.Stderr, "usage: wireguard-go [--foreground] INTERFACE | --version")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "ERROR: %v\n", err)
		os.Exit(1)
	}
}

// detach starts this program anew in a session of its own, and waits until the control socket answers.
func detach(name string) error {
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program: %w", err)
	}
	child := exec.Command(path, foreground, name)
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Getenv("LOG_LEVEL") != "" {
		child.Stderr = os.Stderr
	}
	if err := child.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); time.Sleep(startPoll) {
		if connection, err := net.Dial("unix", socketFolder+name+".sock"); err == nil {
			return connection.Close()
		}
		select {
		case err := <-ended:
			return fmt.Errorf("it ended at once (%v): run it with %s to see why", err, foreground)
		default:
		}
	}
	return errors.Join(fmt.Errorf("no control socket within %s", startLimit), child.Process.Kill())
}

// serve runs the interface until it is told to end.
func serve(name string) error {
	link, err := tun.CreateTUN(name, device.DefaultMTU)
	if err != nil {
		return fmt.Errorf("cannot create the tun device %s: %w", name, err)
	}
	made := device.NewDevice(link, conn.NewDefaultBind(), device.NewLogger(device.LogLevelError, fmt.Sprintf("(%s) ", name)))
	defer made.Close()
	file, err := ipc.UAPIOpen(name)
	if err != nil {
		return fmt.Errorf("cannot open the control socket: %w", err)
	}
	listener, err := ipc.UAPIListen(name, file)
	if err != nil {
		return fmt.Errorf("cannot listen on the control socket: %w", err)
	}
	defer listener.Close()
	ended := make(chan error, 1)
	go accept(listener, made, ended)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	// Who reads what it says may be killed; it goes on for the peers.
	signal.Ignore(unix.SIGPIPE)
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGTERM, os.Interrupt)
	select {
	case <-told:
		return nil
	case <-made.Wait():
		return fmt.Errorf("the interface %s was taken away", name)
	case err := <-ended:
		return fmt.Errorf("the control socket was taken away: %w", err)
	}
}

func accept(listener net.Listener, made *device.Device, ended chan<- error) {
	of := version()
	for {
		connection, err := listener.Accept()
		if err != nil {
			ended <- err
			return
		}
		go made.BerthHandle(connection, of)
	}
}

// version is that of the module, as go.mod pins it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			return dependency.Version
		}
	}
	return "unknown"
}
