package stack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"example.com/todo/scripts/internal/supervisor"
)

const (
	// maxSocketPath in bytes: every system accepts that for a Unix socket.
	maxSocketPath = 100
	headerTimeout = 5 * time.Second
)

// controlServer is the control socket of a running stack: HTTP over a Unix socket in the stack's folder.
// It serves POST /parts/<name>/stop, POST /parts/<name>/start and GET /parts.
type controlServer struct {
	parts  *supervisor.Supervisor
	server *http.Server
}

// listenControl listens in a stack's folder. The caller holds the folder's lock.
func listenControl(ctx context.Context, dir string, parts *supervisor.Supervisor) (*controlServer, error) {
	path := socketPath(dir)
	// A stack that was killed leaves its socket behind.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	c := &controlServer{parts: parts}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /parts", c.listParts)
	mux.HandleFunc("POST /parts/{name}/stop", partHandler(parts.Stop))
	mux.HandleFunc("POST /parts/{name}/start", partHandler(parts.Start))
	c.server = &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}
	go func() { _ = c.server.Serve(listener) }() // returns an error in any case, after Close
	return c, nil
}

// Close stops listening and aborts open requests.
func (c *controlServer) Close() error { return c.server.Close() }

func (c *controlServer) listParts(w http.ResponseWriter, _ *http.Request) {
	for _, name := range c.parts.Names() {
		state := "stopped"
		if pid := c.parts.PID(name); pid != 0 {
			state = fmt.Sprintf("running, pid %d", pid)
		}
		_, _ = fmt.Fprintf(w, "%-22s %s\n", name, state) // the client may have disconnected
	}
}

func partHandler(do func(context.Context, string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := do(r.Context(), r.PathValue("name"))
		switch {
		case err == nil:
		case errors.Is(err, supervisor.ErrUnknownPart):
			http.Error(w, err.Error(), http.StatusNotFound)
		case errors.Is(err, supervisor.ErrUnchanged):
			http.Error(w, err.Error(), http.StatusConflict)
		default:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
}

// Stop stops a part of the stack that runs in dir.
func Stop(ctx context.Context, dir, part string) error {
	_, err := requestControl(ctx, dir, http.MethodPost, "/parts/"+part+"/stop")
	return err
}

// Start starts a part of the stack that runs in dir, and returns when the part is ready.
func Start(ctx context.Context, dir, part string) error {
	_, err := requestControl(ctx, dir, http.MethodPost, "/parts/"+part+"/start")
	return err
}

// Status lists the parts of the stack that runs in dir with their process ids, one a line.
func Status(ctx context.Context, dir string) (string, error) {
	return requestControl(ctx, dir, http.MethodGet, "/parts")
}

func requestControl(ctx context.Context, dir, method, path string) (string, error) {
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socketPath(dir))
		},
	}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, "http://devstack"+path, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return "", notRunning(dir)
	}
	if err != nil {
		return "", fmt.Errorf("request to the stack in %s: %w", dir, errors.Unwrap(err))
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", errors.New(strings.TrimSpace(string(body)))
	}
	return string(body), nil
}

// notRunning explains why there is no control socket in dir.
func notRunning(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("no stack runs in %s: make run starts one", dir)
	}
	lock, err := acquireLock(dir)
	if errors.Is(err, errRunning) {
		return fmt.Errorf("the stack in %s is not ready yet, or about to end", dir)
	}
	if err != nil {
		return err
	}
	lock.Release()
	return fmt.Errorf("no stack runs in %s: make run starts one", dir)
}

// socketPath is in dir, or in the system's temporary folder if the path in dir would be too long.
func socketPath(dir string) string {
	path := filepath.Join(dir, "control.sock")
	if len(path) <= maxSocketPath {
		return path
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("devstack-%.16x.sock", sha256.Sum256([]byte(dir))))
}
