package openapitest

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Handler serves next, and panics after an answer that is not as documented.
func (d *Document) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := answer{method: r.Method, path: r.URL.EscapedPath()}
		kept := &recorder{ResponseWriter: w, body: []byte{}}
		next.ServeHTTP(kept, r)
		a.status, a.header, a.body = cmp.Or(kept.status, http.StatusOK), w.Header(), kept.body
		if err := d.check(a); err != nil {
			panic(fmt.Sprintf("%v: %v", a, err))
		}
	})
}

// recorder keeps what is answered.
type recorder struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.body = append(r.body, p...)
	return r.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Transport sends requests with next, and fails where the answer is not as
// documented. Of a stream only the beginning is looked at.
func (d *Document) Transport(next http.RoundTripper) http.RoundTripper {
	return transport{d, next}
}

type transport struct {
	document *Document
	next     http.RoundTripper
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	a := answer{method: r.Method, path: r.URL.EscapedPath(), status: response.StatusCode, header: response.Header}
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		a.body, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
		response.Body = io.NopCloser(bytes.NewReader(a.body))
	}
	if err == nil {
		err = t.document.check(a)
	}
	if err != nil {
		_ = response.Body.Close()
		return nil, fmt.Errorf("%v: %w", a, err)
	}
	return response, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
