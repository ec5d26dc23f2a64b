// An echo over HTTP and WebSocket: what of a request reaches a lease.  `echo -health` asks the one that runs.
package main

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	address   = ":8080"
	mostBody  = 1 << 20
	mostFrame = 1 << 16
	guid      = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

type answer struct {
	Method  string              `json:"method"`
	Path    string              `json:"path"`
	Query   string              `json:"query"`
	Host    string              `json:"host"`
	From    string              `json:"from"`
	Headers map[string][]string `json:"headers"`
	Body    string              `json:"body"`
	Lease   string              `json:"lease,omitempty"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-health" {
		client := http.Client{Timeout: 2 * time.Second}
		found, err := client.Get("http://127.0.0.1" + address + "/health")
		if err != nil || found.StatusCode != http.StatusOK {
			os.Exit(1)
		}
		return
	}
	// As process 1 of a container it would ignore these otherwise.
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ended
		os.Exit(0)
	}()
	server := http.Server{Addr: address, Handler: http.HandlerFunc(serve), ReadHeaderTimeout: 10 * time.Second}
	fmt.Println("the echo listens on port 8080")
	if err := server.ListenAndServe(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(writer http.ResponseWriter, request *http.Request) {
	switch {
	case request.URL.Path == "/health":
		fmt.Fprintln(writer, "ok")
		return
	case strings.EqualFold(request.Header.Get("Upgrade"), "websocket"):
		socket(writer, request)
		return
	case request.URL.Path == "/set-cookie":
		http.SetCookie(writer, &http.Cookie{Name: "berth_lease", Value: "forged", Path: "/"})
	}
	body, err := io.ReadAll(http.MaxBytesReader(writer, request.Body, mostBody))
	if err != nil {
		http.Error(writer, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if request.URL.Path != "/quiet" {
		fmt.Println(request.Method, request.URL.Path)
	}
	writer.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(writer).Encode(answer{
		request.Method, request.URL.Path, request.URL.RawQuery, request.Host, request.RemoteAddr, request.Header,
		string(body), os.Getenv("LEASE"),
	})
}

// What comes in a text or binary frame goes back in one; frames are small and whole, which an echo may ask for.
func socket(writer http.ResponseWriter, request *http.Request) {
	sum := sha1.Sum([]byte(request.Header.Get("Sec-WebSocket-Key") + guid))
	connection, buffered, err := http.NewResponseController(writer).Hijack()
	if err != nil {
		http.Error(writer, err.Error(), http.StatusInternalServerError)
		return
	}
	defer connection.Close()
	fmt.Fprintf(connection, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	for {
		kind, payload, err := frame(buffered.Reader)
		if err != nil {
			return
		}
		switch kind {
		case 8: // close
			_ = send(connection, 8, payload)
			return
		case 9: // ping
			kind = 10
		case 10: // pong
			continue
		}
		if send(connection, kind, payload) != nil {
			return
		}
	}
}

func frame(reader io.Reader) (byte, []byte, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(reader, head); err != nil {
		return 0, nil, err
	}
	size := int(head[1] & 0x7f)
	if size == 126 {
		long := make([]byte, 2)
		if _, err := io.ReadFull(reader, long); err != nil {
			return 0, nil, err
		}
		size = int(long[0])<<8 | int(long[1])
	}
	if size > mostFrame || size == 127 || head[1]&0x80 == 0 {
		return 0, nil, fmt.Errorf("not a frame that is taken here")
	}
	mask := make([]byte, 4)
	payload := make([]byte, size)
	if _, err := io.ReadFull(reader, mask); err != nil {
		return 0, nil, err
	}
	if _, err := io.ReadFull(reader, payload); err != nil {
		return 0, nil, err
	}
	for index := range payload {
		payload[index] ^= mask[index%4]
	}
	return head[0] & 0x0f, payload, nil
}

func send(writer io.Writer, kind byte, payload []byte) error {
	head := []byte{0x80 | kind, byte(len(payload))}
	if len(payload) > 125 {
		head = []byte{0x80 | kind, 126, byte(len(payload) >> 8), byte(len(payload))}
	}
	_, err := writer.Write(append(head, payload...))
	return err
}
