package httpserver

import "net/http"

// Routes serves mux. Where no pattern matches it answers 404, or 405 with
// Allow, as a problem document; and it tells Instrument the pattern, even from
// inside middleware that copies the request.
func Routes(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		unmatched, pattern := mux.Handler(r)
		if pattern != "" {
			requestStateOf(r.Context()).route = pattern
			mux.ServeHTTP(w, r)
			return
		}
		var answer headerRecorder
		unmatched.ServeHTTP(&answer, r)
		switch answer.status {
		case http.StatusMethodNotAllowed:
			allow := answer.Header().Get("Allow")
			w.Header().Set("Allow", allow)
			WriteProblem(w, r, StatusError(answer.status, "this address does not take that method; it takes %s", allow))
		case http.StatusNotFound:
			WriteProblem(w, r, StatusError(answer.status, "there is nothing at this address"))
		default: // a redirect to the clean form of the path
			mux.ServeHTTP(w, r)
		}
	})
}

// headerRecorder takes the mux's own answer, to learn what it would have been.
type headerRecorder struct {
	header http.Header
	status int
}

func (h *headerRecorder) Header() http.Header {
	if h.header == nil {
		h.header = http.Header{}
	}
	return h.header
}

func (h *headerRecorder) WriteHeader(status int) { h.status = status }

func (h *headerRecorder) Write(p []byte) (int, error) { return len(p), nil }
