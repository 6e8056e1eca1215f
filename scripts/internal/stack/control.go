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
	// socketPathLimit is the longest path that every system takes for a Unix socket.
	socketPathLimit = 100
	headerTimeout   = 5 * time.Second
)

// controlServer is the running stack's ear: a Unix socket in its folder over which parts are stopped and
// started by name. The protocol is HTTP: POST /parts/<name>/stop or /start, GET /parts.
type controlServer struct {
	parts  *supervisor.Supervisor
	server *http.Server
}

// listenControl begins to listen in a stack's folder, whose lock the caller holds.
func listenControl(ctx context.Context, dir string, parts *supervisor.Supervisor) (*controlServer, error) {
	path := socketPath(dir)
	// Left by a stack that was killed.
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
	mux.HandleFunc("POST /parts/{name}/stop", c.partHandler(parts.Stop))
	mux.HandleFunc("POST /parts/{name}/start", c.partHandler(parts.Start))
	c.server = &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}
	go func() { _ = c.server.Serve(listener) }() // it always ends with an error, when Close is called
	return c, nil
}

// Close stops listening; requests that are still open are cut.
func (c *controlServer) Close() error { return c.server.Close() }

func (c *controlServer) listParts(w http.ResponseWriter, _ *http.Request) {
	for _, name := range c.parts.Names() {
		state := "stopped"
		if pid := c.parts.PID(name); pid != 0 {
			state = fmt.Sprintf("running, pid %d", pid)
		}
		_, _ = fmt.Fprintf(w, "%-22s %s\n", name, state) // the asker may have left
	}
}

func (c *controlServer) partHandler(do func(context.Context, string) error) http.HandlerFunc {
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

// Start starts a part of the stack that runs in dir and waits until it serves.
func Start(ctx context.Context, dir, part string) error {
	_, err := requestControl(ctx, dir, http.MethodPost, "/parts/"+part+"/start")
	return err
}

// Status tells which parts of the stack in dir run, one on each line.
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
		return "", fmt.Errorf("ask the stack in %s: %w", dir, errors.Unwrap(err))
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", errors.New(strings.TrimSpace(string(answer)))
	}
	return string(answer), nil
}

// notRunning explains why nobody listens in dir.
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

// socketPath is in the folder, or in the system's temporary folder where the path would be too long.
func socketPath(dir string) string {
	path := filepath.Join(dir, "control.sock")
	if len(path) <= socketPathLimit {
		return path
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("devstack-%.16x.sock", sha256.Sum256([]byte(dir))))
}
