package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

const controlBytes = 1 << 20

// serveControl answers on a unix socket that only the same user may open: statistics, and what may change while the
// program runs.
func serveControl(ctx context.Context, path string, handler http.Handler, log *slog.Logger) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	served := &http.Server{
		Handler: handler, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10,
	}
	go func() {
		<-ctx.Done()
		_ = served.Close()
	}()
	go func() {
		if err := served.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the control socket failed", "reason", err.Error())
		}
	}()
	return nil
}

func answer(to http.ResponseWriter, status int, value any) {
	to.Header().Set("Content-Type", "application/json")
	to.WriteHeader(status)
	_ = json.NewEncoder(to).Encode(value)
}

// take reads a request's document into value; what is unknown in it is refused.
func take(to http.ResponseWriter, request *http.Request, value any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(to, request.Body, controlBytes))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value); err != nil {
		answer(to, http.StatusBadRequest, map[string]string{"detail": err.Error()})
		return false
	}
	return true
}

func done(to http.ResponseWriter, err error) {
	if err != nil {
		answer(to, http.StatusConflict, map[string]string{"detail": err.Error()})
		return
	}
	to.WriteHeader(http.StatusNoContent)
}

func (s *server) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(to http.ResponseWriter, _ *http.Request) { answer(to, http.StatusOK, s.stats()) })
	mux.HandleFunc("PUT /accept", func(to http.ResponseWriter, request *http.Request) {
		var wanted struct {
			Accept bool   `json:"accept"`
			Reason string `json:"reason"`
		}
		if take(to, request, &wanted) {
			done(to, s.setAccepting(wanted.Accept, wanted.Reason))
		}
	})
	mux.HandleFunc("PUT /target", func(to http.ResponseWriter, request *http.Request) {
		var wanted struct {
			Target string `json:"target"`
		}
		if take(to, request, &wanted) {
			done(to, s.setTarget(wanted.Target))
		}
	})
	return mux
}

func (c *client) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(to http.ResponseWriter, _ *http.Request) { answer(to, http.StatusOK, c.stats()) })
	mux.HandleFunc("PUT /endpoints", func(to http.ResponseWriter, request *http.Request) {
		var wanted struct {
			Endpoints []Endpoint `json:"endpoints"`
		}
		if !take(to, request, &wanted) {
			return
		}
		for _, one := range wanted.Endpoints {
			if err := one.check(); err != nil {
				done(to, err)
				return
			}
		}
		c.endpoints.replace(wanted.Endpoints)
		done(to, nil)
	})
	return mux
}

// followFile takes the list anew whenever the file changes. A file that cannot be read changes nothing.
func followFile(ctx context.Context, path string, all *endpoints, log *slog.Logger) {
	var seen time.Time
	var seenSize int64
	fault := ""
	for {
		found, err := os.Stat(path)
		if err == nil && (!found.ModTime().Equal(seen) || found.Size() != seenSize) {
			var text []byte
			var list []Endpoint
			if text, err = os.ReadFile(path); err == nil {
				if list, err = parseEndpoints(text); err == nil {
					seen, seenSize = found.ModTime(), found.Size()
					all.replace(list)
				}
			}
		}
		if now := errorText(err); now != fault {
			if fault = now; fault != "" {
				log.Error("the file of endpoints cannot be used; the list stays", "file", path, "reason", fault)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
