package openapitest

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Handler returns middleware that records each response of next and panics when it is
// not as documented.
func (d *Document) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &bodyRecorder{ResponseWriter: w, body: []byte{}}
		next.ServeHTTP(rec, r)
		sent := response{r, cmp.Or(rec.status, http.StatusOK), w.Header(), rec.body}
		if err := d.checkResponse(sent); err != nil {
			panic(fmt.Sprintf("%v: %v", sent, err))
		}
	})
}

// bodyRecorder records the status and body of a response.
type bodyRecorder struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (r *bodyRecorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *bodyRecorder) Write(p []byte) (int, error) {
	r.body = append(r.body, p...)
	return r.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (r *bodyRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Transport returns a RoundTripper that sends requests with next and fails when the
// response is not as documented. The body of an event stream is not checked.
func (d *Document) Transport(next http.RoundTripper) http.RoundTripper {
	return transport{d, next}
}

type transport struct {
	document *Document
	next     http.RoundTripper
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	received := response{request: r, status: resp.StatusCode, header: resp.Header}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		received.body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(received.body))
	}
	if err == nil {
		err = t.document.checkResponse(received)
	}
	if err != nil {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%v: %w", received, err)
	}
	return resp, nil
}
