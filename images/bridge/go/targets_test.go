package main

import (
	"errors"
	"net/netip"
	"testing"
)

func list(t *testing.T, entries ...string) (found targets) {
	t.Helper()
	for _, text := range entries {
		entry, err := parseAllowed(text)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, entry)
	}
	return found
}

func TestOnlyWhatIsListedIsATarget(t *testing.T) {
	allowed := list(t, "10.1.0.0/24:51820", "node-1:51820", "10.2.0.2:*", "[fd00::/64]:53", "0.0.0.0/0:7")
	for _, one := range []struct {
		host, address string
		wanted        bool
	}{
		{"10.1.0.9", "10.1.0.9:51820", true},
		{"10.1.0.9", "10.1.0.9:51821", false},
		{"10.1.1.9", "10.1.1.9:51820", false},
		{"NODE-1", "172.20.0.3:51820", true},
		{"node-1", "172.20.0.3:53", false},
		{"node-2", "172.20.0.3:51820", false},
		{"node-2", "10.1.0.3:51820", true},
		{"10.2.0.2", "10.2.0.2:1", true},
		{"10.2.0.3", "10.2.0.3:1", false},
		{"fd00::1", "[fd00::1]:53", true},
		{"fd00:1::1", "[fd00:1::1]:53", false},
		{"8.8.8.8", "8.8.8.8:7", true},
		{"224.0.0.1", "224.0.0.1:7", false},
		{"255.255.255.255", "255.255.255.255:7", false},
		{"0.0.0.0", "0.0.0.0:7", false},
	} {
		err := allowed.check(one.host, netip.MustParseAddrPort(one.address))
		if (err == nil) != one.wanted || err != nil && !errors.Is(err, errNotAllowed) {
			t.Errorf("%s at %s: %v", one.host, one.address, err)
		}
	}
}

func TestWhatIsNoEntryIsRefused(t *testing.T) {
	for _, text := range []string{"", ":", "host", "host:", ":51820", "host:0", "host:65536", "host:-1", "a/b:1", "a b:1",
		"10.0.0.0/33:1", "*:*", "]:1", "[]:1"} {
		if entry, err := parseAllowed(text); err == nil {
			t.Errorf("%q is %v", text, entry)
		}
	}
}

func TestATargetThatNoEntryCouldAllowIsRefusedAtOnce(t *testing.T) {
	allowed := list(t, "node-1:51820", "10.1.0.0/24:53")
	for target, wanted := range map[string]bool{
		"node-1:51820": true, "node-1:51821": false, "node-2:51820": false, "node-2:53": true, "10.1.0.4:53": true,
		"10.1.1.4:53": false, "nothing": false, "node-1:0": false,
	} {
		if err := allowed.mayName(target); (err == nil) != wanted {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func FuzzParseAllowed(f *testing.F) {
	f.Add("10.0.0.0/24:51820")
	f.Add("[fd00::/64]:*")
	f.Add("]:1")
	f.Fuzz(func(t *testing.T, text string) {
		entry, err := parseAllowed(text)
		if err == nil && entry.host == "" && !entry.block.IsValid() {
			t.Errorf("%q allows neither a host nor a block", text)
		}
	})
}
