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

// listenControl serves the control socket of a running stack: HTTP over a Unix socket in the stack's folder, with
// GET /parts, POST /parts/<name>/stop and POST /parts/<name>/start. The caller holds the folder's lock.
func listenControl(ctx context.Context, dir string, parts *supervisor.Supervisor) (*http.Server, error) {
	path := socketPath(dir)
	// A stack that was killed leaves its socket behind.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /parts", func(w http.ResponseWriter, _ *http.Request) {
		for _, part := range parts.Units() {
			state := "stopped"
			if pid := part.PID(); pid != 0 {
				state = fmt.Sprintf("running, pid %d", pid)
			}
			fmt.Fprintf(w, "%-22s %s\n", part.Name, state)
		}
	})
	for verb, do := range map[string]func(context.Context, string) error{"stop": parts.Stop, "start": parts.Start} {
		mux.HandleFunc("POST /parts/{name}/"+verb, func(w http.ResponseWriter, r *http.Request) {
			if err := do(r.Context(), r.PathValue("name")); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
			}
		})
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}
	go func() { _ = server.Serve(listener) }() // returns an error in any case, after Close
	return server, nil
}

// Control stops or starts, by the verb "stop" or "start", a part of the stack that runs in dir. A started part is
// ready when Control returns.
func Control(ctx context.Context, dir, verb, part string) error {
	_, err := requestControl(ctx, dir, http.MethodPost, "/parts/"+part+"/"+verb)
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
		return "", notRunning(ctx, dir)
	}
	if err != nil {
		return "", fmt.Errorf("request to the stack in %s: %w", dir, errors.Unwrap(err))
	}
	defer response.Body.Close()
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
func notRunning(ctx context.Context, dir string) error {
	if _, err := os.Stat(dir); err == nil {
		release, err := acquireLock(ctx, dir)
		if errors.Is(err, errRunning) {
			return fmt.Errorf("the stack in %s is not ready yet, or about to end", dir)
		}
		if err != nil {
			return err
		}
		release()
	}
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
