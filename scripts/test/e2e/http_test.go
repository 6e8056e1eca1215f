package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

type taskJSON struct {
	ID          int64      `json:"id"`
	Title       string     `json:"title"`
	Priority    int        `json:"priority"`
	Done        bool       `json:"done"`
	CreatedAt   time.Time  `json:"created_at"`
	CompletedAt *time.Time `json:"completed_at"`
	Version     int64      `json:"version"`
}

type answer struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
}

// decode parses the body of a response with the expected status.
func decode[T any](t *testing.T, a answer, status int) T {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	var into T
	if err := json.Unmarshal(a.body, &into); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return into
}

// call sends a request of the test's user to todo-service, from an address that the rate limiter has not seen.
func call(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	return callAs(t, system.user(t), method, path, body, header...)
}

func callAs(t *testing.T, u user, method, path, body string, header ...string) answer {
	t.Helper()
	return requestAs(t, u, method, system.url("TODO_HTTP_ADDR", path), body, append([]string{"X-Forwarded-For", unseenAddr()}, header...)...)
}

// requestAs sends a request of a user, and again while its session could not be checked.
func requestAs(t *testing.T, u user, method, url, body string, header ...string) answer {
	t.Helper()
	var a answer
	repeatWhile(t, func() bool {
		a = request(t, system.http, method, url, body, append(u.header(), header...)...)
		return isUnchecked(a)
	})
	return a
}

// request sends a request. header alternates names and values.
func request(t *testing.T, client *http.Client, method, url, body string, header ...string) answer {
	t.Helper()
	a, err := try(t.Context(), client, method, url, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func try(ctx context.Context, client *http.Client, method, url, body string, header ...string) (answer, error) {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, reader)
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	began := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, content, time.Since(began)}, err
}

func create(t *testing.T, title string) taskJSON {
	t.Helper()
	return decode[taskJSON](t, call(t, http.MethodPost, "/tasks", fmt.Sprintf(`{"title":%q}`, title)), http.StatusCreated)
}

func complete(t *testing.T, id int64) taskJSON {
	t.Helper()
	return decode[taskJSON](t, call(t, http.MethodPatch, fmt.Sprintf("/tasks/%d/done", id), ""), http.StatusOK)
}

// unseenAddr returns a client address from the documentation and benchmark ranges.
func unseenAddr() string {
	return fmt.Sprintf("198.%d.%d.%d", 18+rand.IntN(2), rand.IntN(256), rand.IntN(256))
}

// counter returns a metric of a service, by its ops address's variable.
func (a *access) counter(t *testing.T, ops, name string) float64 {
	t.Helper()
	metrics := request(t, a.http, http.MethodGet, a.url(ops, "/metrics"), "")
	for line := range bytes.Lines(metrics.body) {
		var value float64
		if n, _ := fmt.Sscanf(string(line), name+" %g", &value); n == 1 {
			return value
		}
	}
	t.Fatalf("%s is not among the metrics of %s", name, ops)
	return 0
}
