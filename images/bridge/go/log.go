package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// newLog writes JSON lines with the same keys as the project's Python services.
func newLog(to io.Writer, level string) (*slog.Logger, error) {
	var lowest slog.Level
	switch level {
	case "debug", "info", "error":
		_ = lowest.UnmarshalText([]byte(level))
	case "warning":
		lowest = slog.LevelWarn
	default:
		return nil, fmt.Errorf("--log-level is %q: it must be debug, info, warning or error", level)
	}
	handler := slog.NewJSONHandler(to, &slog.HandlerOptions{
		Level: lowest,
		ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
			switch attr.Key {
			case slog.TimeKey:
				return slog.String("timestamp", attr.Value.Time().UTC().Format("2006-01-02T15:04:05.000000Z"))
			case slog.MessageKey:
				attr.Key = "event"
			case slog.LevelKey:
				name := strings.ToLower(attr.Value.String())
				if name == "warn" {
					name = "warning"
				}
				return slog.String("level", name)
			}
			return attr
		},
	})
	return slog.New(handler).With("service", "bridge"), nil
}

// redactor shows an address as a short name that is the same as long as this process runs, so that lines can be put
// together and nobody is told who it was.
type redactor struct {
	off bool
	key [32]byte
}

func newRedactor(on bool) (*redactor, error) {
	r := &redactor{off: !on}
	_, err := rand.Read(r.key[:])
	return r, err
}

func (r *redactor) show(address fmt.Stringer) string {
	return r.text(address.String())
}

func (r *redactor) text(address string) string {
	if r.off {
		return address
	}
	mac := hmac.New(sha256.New, r.key[:])
	mac.Write([]byte(address))
	return "redacted-" + hex.EncodeToString(mac.Sum(nil)[:4])
}

// reason is an error without the addresses that Go puts into it.
func (r *redactor) reason(err error) string {
	if err == nil {
		return ""
	}
	if r.off {
		return err.Error()
	}
	text := err.Error()
	if at := strings.LastIndex(text, ": "); at >= 0 {
		text = text[at+2:]
	}
	return text
}

// sometimes lets one of many equal events through, so that a flood of them does not become a flood of lines.
type sometimes struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (s *sometimes) now(kind string, every time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[string]time.Time{}
	}
	if time.Since(s.last[kind]) < every {
		return false
	}
	s.last[kind] = time.Now()
	return true
}
