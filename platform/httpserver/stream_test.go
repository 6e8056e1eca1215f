package httpserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/todo/platform/httpserver"
)

// startStreaming serves handler with request timeouts shorter than the streams of the tests.
func startStreaming(t *testing.T, handler http.HandlerFunc) (addr string, o *telemetryRecorder, stop func()) {
	t.Helper()
	cfg := httpserver.Defaults("127.0.0.1:0")
	cfg.RequestTimeout, cfg.ReadTimeout = 20*time.Millisecond, 20*time.Millisecond
	return startStreamingWithConfig(t, cfg, handler)
}

func startStreamingWithConfig(t *testing.T, cfg httpserver.Config, handler http.HandlerFunc) (addr string, o *telemetryRecorder, stop func()) {
	t.Helper()
	o = newTelemetryRecorder()
	srv, cancel, ended := start(t, cfg, httpserver.Instrument(httpserver.Routes(muxWith("GET /", handler)), cfg, o.telemetry()))
	return srv.Addr(), o, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestStreamOutlivesTheTimeoutsOfARequest(t *testing.T) {
	t.Parallel()
	addr, o, stop := startStreaming(t, func(w http.ResponseWriter, r *http.Request) {
		s := httpserver.NewStream(w, r, time.Minute)
		defer s.Close(nil)
		io.WriteString(s, "first ")
		select {
		case <-s.Context().Done():
			io.WriteString(s, "and last")
		case <-time.After(200 * time.Millisecond):
			io.WriteString(s, "and later")
		}
	})
	resp, err := client(t).Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); string(got) != "first and later" || err != nil {
		t.Errorf("got %q, error %v", got, err)
	}
	stop()
	if lines := o.lines(t, "HTTP request"); len(lines) != 1 || lines[0]["status"] != 200.0 || lines[0]["duration_us"].(float64) < 200_000 {
		t.Errorf("logged %v", lines)
	}
	if got := o.metrics(t, "http_requests_total"); got != "code=200 method=GET route=GET / 1\n" {
		t.Errorf("counted %s", got)
	}
}

func TestStreamContextEndsWhenTheClientDisconnects(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	addr, o, stop := startStreaming(t, func(w http.ResponseWriter, r *http.Request) {
		s := httpserver.NewStream(w, r, time.Minute)
		io.WriteString(s, "first")
		<-s.Context().Done()
		s.Close(errors.New("nobody there"))
		close(gone)
	})
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	leave()
	<-gone
	stop()
	if lines := o.lines(t, "HTTP request"); len(lines) != 1 || lines[0]["error"] != "nobody there" {
		t.Errorf("logged %v", lines)
	}
}

func TestStreamThatSendsNothingKeepsTheSendBufferOfItsConnection(t *testing.T) {
	t.Parallel()
	sizes := make(chan int, 2)
	addr, _, stop := startStreamingWithConfig(t, httpserver.Defaults("127.0.0.1:0"), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "rejected" {
			httpserver.NewStream(w, r, time.Minute).Close(nil)
			w.WriteHeader(http.StatusGone)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		sizes <- sendBufferSize(t, conn)
		conn.Close()
	})
	for _, requests := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /?rejected HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, requests)
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	stop()
	if usual, after := <-sizes, <-sizes; after < usual {
		t.Errorf("the send buffer has %d bytes, and %d after a stream was rejected on the connection", usual, after)
	}
}

// sendBufferSize returns the size of the send buffer of conn.
func sendBufferSize(t *testing.T, conn net.Conn) (size int) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Error(err)
		return 0
	}
	var asked error
	err = raw.Control(func(fd uintptr) {
		size, asked = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF)
	})
	if err := errors.Join(err, asked); err != nil {
		t.Error(err)
	}
	return size
}

func TestStreamIsAbortedWhenTheClientDoesNotRead(t *testing.T) {
	t.Parallel()
	for name, piece := range map[string]int{
		"pieces that are sent as they are written": 16 << 10,
		"pieces that are sent as they are flushed": 500,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expectAbort(t, piece)
		})
	}
}

// expectAbort writes pieces of the given size to a client that does not read.
func expectAbort(t *testing.T, piece int) {
	t.Helper()
	const most = 512 << 10
	written := make(chan error, 1)
	addr, o, stop := startStreaming(t, func(w http.ResponseWriter, r *http.Request) {
		s := httpserver.NewStream(w, r, 50*time.Millisecond)
		var err error
		sent := 0
		for ; sent < 32*most && err == nil && s.Context().Err() == nil; sent += piece {
			_, err = s.Write(make([]byte, piece))
		}
		if sent > most {
			err = fmt.Errorf("the kernel buffered %d KiB, then %w", sent>>10, err)
		}
		written <- err
		s.Close(err)
	})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if err := <-written; err == nil || !strings.Contains(err.Error(), "timeout") || strings.Contains(err.Error(), "kernel") {
		t.Errorf("writing to a client that does not read: %v", err)
	}
	stop()
	if lines := o.lines(t, "HTTP request"); len(lines) != 1 || lines[0]["error"] == nil {
		t.Errorf("logged %v", lines)
	}
}
