package httpserver_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/config"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/tlsconfig"
)

// start runs a server until stop or the end of the test. The channel returns the result of Run.
func start(t *testing.T, cfg httpserver.Config, h http.Handler) (srv *httpserver.Server, stop context.CancelFunc, ended <-chan error) {
	t.Helper()
	srv, err := httpserver.Listen(cfg, unlimited, h)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- srv.Run(ctx) }()
	t.Cleanup(cancel)
	return srv, cancel, result
}

func unlimited(l net.Listener) net.Listener { return l }

func client(t *testing.T) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestServerFinishesRequestsInFlightWhenStopped(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	srv, stop, ended := start(t, httpserver.Defaults("127.0.0.1:0"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		io.WriteString(w, "done")
	}))
	received := make(chan string, 1)
	go func() {
		resp, err := client(t).Get("http://" + srv.Addr())
		if err != nil {
			received <- err.Error()
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		received <- string(text)
	}()
	<-entered
	stop()
	for { // until new connections are rejected
		conn, err := net.Dial("tcp", srv.Addr())
		if err != nil {
			break
		}
		conn.Close()
	}
	close(release)
	if got := <-received; got != "done" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServerSendsConnectionCloseWhenStopping(t *testing.T) {
	t.Parallel()
	srv, stop, ended := start(t, httpserver.Defaults("127.0.0.1:0"), http.NotFoundHandler())
	client := client(t)
	for _, stopping := range []bool{false, true} {
		if stopping {
			told, tell := context.WithCancel(t.Context())
			tell()
			if err := srv.AnnounceClose(told); err != nil {
				t.Error(err)
			}
		}
		resp, err := client.Get("http://" + srv.Addr())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.Close != stopping {
			t.Errorf("stopping is %t, Connection: close is %t", stopping, resp.Close)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestHandlerReceivesOptionsOfTheWholeServer(t *testing.T) {
	t.Parallel()
	srv, _, _ := start(t, httpserver.Defaults("127.0.0.1:0"), http.NotFoundHandler())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, "http://"+srv.Addr(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.URL.Opaque = "*"
	resp, err := client(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("OPTIONS * is answered %s and does not reach the handler", resp.Status)
	}
}

func TestServerAbortsRequestsAfterTheDrainTimeout(t *testing.T) {
	t.Parallel()
	cfg := httpserver.Defaults("127.0.0.1:0")
	cfg.DrainTimeout = time.Millisecond
	entered := make(chan struct{})
	srv, stop, ended := start(t, cfg, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	gone := make(chan error, 1)
	go func() {
		resp, err := client(t).Get("http://" + srv.Addr())
		if err == nil {
			resp.Body.Close()
		}
		gone <- err
	}()
	<-entered
	stop()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("got %v", err)
	}
	if err := <-gone; err == nil {
		t.Error("the client was answered")
	}
}

func TestServerDisconnectsAClientThatSendsItsHeaderTooSlowly(t *testing.T) {
	t.Parallel()
	cfg := httpserver.Defaults("127.0.0.1:0")
	cfg.ReadHeaderTimeout = 10 * time.Millisecond
	srv, stop, ended := start(t, cfg, http.NotFoundHandler())
	conn, err := net.Dial("tcp", srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HT")
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("got %v, want the connection closed", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServerDisconnectsAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	cfg := httpserver.Defaults("127.0.0.1:0")
	cfg.RequestTimeout, cfg.ReadTimeout = 10*time.Millisecond, 10*time.Millisecond
	written := make(chan error, 1)
	srv, stop, ended := start(t, cfg, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var err error
		for range 1000 {
			if _, err = w.Write(make([]byte, 1<<20)); err != nil {
				break
			}
		}
		written <- err
	}))
	conn, err := net.Dial("tcp", srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if err := <-written; err == nil {
		t.Error("1 GB was written to a client that does not read")
	}
	stop()
	<-ended
}

func TestListenBindsBeforeRun(t *testing.T) {
	t.Parallel()
	srv, stop, ended := start(t, httpserver.Defaults("127.0.0.1:0"), http.NotFoundHandler())
	if _, err := httpserver.Listen(httpserver.Defaults(srv.Addr()), unlimited, http.NotFoundHandler()); err == nil {
		t.Error("the same address was bound twice")
	}
	stop()
	<-ended
}

func TestConfigRejectsInvalidSettings(t *testing.T) {
	t.Parallel()
	cfg := struct {
		HTTP httpserver.Config `config:"http"`
	}{httpserver.Defaults(":8080")}
	if err := config.Load(&cfg, "", nil); err != nil {
		t.Error(err)
	}
	err := config.Load(&cfg, "", []string{"HTTP_ADDR=8080", "HTTP_REQUEST_TIMEOUT=-1s", "HTTP_MAX_CONNS=0",
		"HTTP_ALLOWED_HOSTS=https://todo.example.com", "HTTP_CORS_ORIGINS=app.example.com"})
	for _, want := range []string{
		`http.addr: "8080" from environment HTTP_ADDR`, `http.request_timeout: "-1s" from environment HTTP_REQUEST_TIMEOUT`,
		`http.max_conns: "0" from environment HTTP_MAX_CONNS`, `"https://todo.example.com" must be a host name`, `"app.example.com" must be an origin`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s in %v", want, err)
		}
	}
}

func TestServerIsSecureUnderTLSAndBehindAProxyWithTLS(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		cert, publicURL string
		want            bool
	}{
		{"", "", false},
		{"", "http://todo.example.com", false},
		{"", "HTTPS://todo.example.com", true},
		{"cert.pem", "", true},
		{"cert.pem", "http://todo.example.com", true},
	} {
		cfg := httpserver.Config{ServerFiles: tlsconfig.ServerFiles{TLSCert: test.cert}}
		if got := cfg.IsSecure(test.publicURL); got != test.want {
			t.Errorf("certificate %q, public URL %q: %v, want %v", test.cert, test.publicURL, got, test.want)
		}
	}
}
