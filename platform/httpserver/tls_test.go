package httpserver_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/clientlimit"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/testenv/testca"
)

// startTLS serves h with a certificate of ca for 127.0.0.1, and returns the server's address.
func startTLS(t *testing.T, ca *testca.CA, change func(*httpserver.Config), h http.HandlerFunc) string {
	t.Helper()
	pair := ca.Issue("127.0.0.1")
	cfg := httpserver.Defaults("127.0.0.1:0")
	cfg.TLSCert, cfg.TLSKey = pair.Cert, pair.Key
	change(&cfg)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	conns := clientlimit.NewConnLimiter(100, nil, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	o := newTelemetryRecorder()
	srv, err := httpserver.Listen(cfg, conns.Limit("http", 100), httpserver.Instrument(h, cfg, o.telemetry()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return srv.Addr()
}

// answer is a response to a request over TLS.
type answer struct {
	status         int
	body, protocol string // protocol is ALPN's
}

// get requests / over TLS.
func get(t *testing.T, addr string, cfg *tls.Config) (answer, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
	resp, err := client.Get("https://" + addr + "/")
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(body), resp.TLS.NegotiatedProtocol}, err
}

func TestServerSpeaksHTTP11OverTLS(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	addr := startTLS(t, ca, func(*httpserver.Config) {}, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto)
	})
	got, err := get(t, addr, &tls.Config{RootCAs: ca.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	if got.body != "HTTP/1.1" || got.protocol != "http/1.1" {
		t.Errorf("served %s after ALPN %q", got.body, got.protocol)
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if text, _ := io.ReadAll(conn); !strings.HasPrefix(string(text), "HTTP/1.0 400 ") {
		t.Errorf("without TLS: %q", text)
	}
}

func TestServerDemandsAClientCertificate(t *testing.T) {
	t.Parallel()
	ca, clients := testca.New(t), testca.New(t)
	addr := startTLS(t, ca, func(cfg *httpserver.Config) { cfg.TLSClientCA = clients.File }, func(http.ResponseWriter, *http.Request) {})
	if _, err := get(t, addr, &tls.Config{RootCAs: ca.Pool()}); err == nil {
		t.Error("no certificate is accepted")
	}
	own := clients.Issue("client").TLS()
	if got, err := get(t, addr, &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{own}}); err != nil || got.status != http.StatusOK {
		t.Errorf("a certificate of the CA: %v", err)
	}
}

func TestStreamBoundsTheSendBufferUnderTLS(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	addr := startTLS(t, ca, func(*httpserver.Config) {}, func(w http.ResponseWriter, r *http.Request) {
		s := httpserver.NewStream(w, r, time.Second)
		s.Write([]byte("x"))
		hijacked, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer hijacked.Close()
		raw, err := hijacked.(*tls.Conn).NetConn().(syscall.Conn).SyscallConn()
		if err != nil {
			t.Error(err)
			return
		}
		raw.Control(func(fd uintptr) {
			// The kernel doubles the size for its own data.
			if size, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF); err != nil || size > 2*64<<10 {
				t.Errorf("the send buffer has %d bytes, %v", size, err)
			}
		})
	})
	get(t, addr, &tls.Config{RootCAs: ca.Pool()})
}

func TestListenNamesTheFileThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	cfg := httpserver.Defaults("127.0.0.1:0")
	cfg.Sources.Section = "http"
	cfg.TLSCert, cfg.TLSKey = "/not/there", "/not/there"
	_, err := httpserver.Listen(cfg, func(l net.Listener) net.Listener { return l }, http.NotFoundHandler())
	if err == nil || err.Error() != "http.tls_cert: names a file that does not exist" {
		t.Errorf("got %v", err)
	}
}
