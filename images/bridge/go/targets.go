package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

var errNotAllowed = errors.New("not in the list of allowed targets")

// allowed is one entry of the allow-list: a block of addresses or a host's name, and a port (0: each).
type allowed struct {
	block netip.Prefix
	host  string
	port  uint16
}

// parseAllowed reads "10.0.0.0/24:51820", "[fd00::/64]:51820", "node:51820" or, for each port, "10.0.0.2:*".
func parseAllowed(text string) (allowed, error) {
	wrong := func() (allowed, error) {
		return allowed{}, fmt.Errorf("%q is no target: host:port, address:port or block:port is, the port may be *", text)
	}
	at := strings.LastIndex(text, ":")
	if at < 1 {
		return wrong()
	}
	host, port := strings.Trim(text[:at], "[]"), text[at+1:]
	entry := allowed{}
	if port != "*" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return wrong()
		}
		entry.port = uint16(number)
	}
	if block, err := netip.ParsePrefix(host); err == nil {
		entry.block = block.Masked()
	} else if address, err := netip.ParseAddr(host); err == nil {
		entry.block = netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen())
	} else if host == "" || strings.ContainsAny(host, "/:* []") {
		return wrong()
	} else {
		entry.host = strings.ToLower(host)
	}
	return entry, nil
}

// targets says where datagrams may go. The one who connects has no say in it: the wire format names no target.
type targets []allowed

// check refuses what is not in the list, and what is no single host whatever the list says.
func (t targets) check(host string, address netip.AddrPort) error {
	ip := address.Addr()
	if !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return fmt.Errorf("%w: %s is no single host", errNotAllowed, ip)
	}
	for _, entry := range t {
		if entry.port != 0 && entry.port != address.Port() {
			continue
		}
		if entry.host != "" && entry.host == strings.ToLower(host) || entry.block.IsValid() && entry.block.Contains(ip) {
			return nil
		}
	}
	return errNotAllowed
}

// resolve gives the allowed address of "host:port"; IPv4 before IPv6.
func (t targets) resolve(ctx context.Context, target string) (netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(target)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}, fmt.Errorf("%q has no port between 1 and 65535", target)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	var best netip.AddrPort
	err = fmt.Errorf("%s has no address", host)
	for _, ip := range found {
		address := netip.AddrPortFrom(ip.Unmap(), uint16(port))
		if refused := t.check(host, address); refused != nil {
			err = refused
		} else if !best.IsValid() || !best.Addr().Is4() && address.Addr().Is4() {
			best = address
		}
	}
	if best.IsValid() {
		return best, nil
	}
	return netip.AddrPort{}, err
}

// mayName is the check that goes without an address: whether any entry could allow it.
func (t targets) mayName(target string) error {
	host, portText, err := net.SplitHostPort(target)
	if err != nil {
		return fmt.Errorf("%q is no target: host:port is", target)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return fmt.Errorf("%q has no port between 1 and 65535", target)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return t.check(host, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	for _, entry := range t {
		// A name may be in an allowed block: that is seen once it is resolved.
		if (entry.port == 0 || entry.port == uint16(port)) && (entry.host == "" || entry.host == strings.ToLower(host)) {
			return nil
		}
	}
	return errNotAllowed
}
