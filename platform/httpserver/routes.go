package httpserver

import "net/http"

// Routes returns mux with problem documents for 404 and 405. It reports the pattern to
// Instrument, also from inside middleware that copies the request.
func Routes(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		unmatched, pattern := mux.Handler(r)
		if pattern != "" {
			requestStateOf(r.Context()).route = pattern
			mux.ServeHTTP(w, r)
			return
		}
		// The handler of the mux decides between 404, 405 and a redirect.
		response := headerRecorder{header: http.Header{}}
		unmatched.ServeHTTP(&response, r)
		switch response.status {
		case http.StatusMethodNotAllowed:
			allow := response.Header().Get("Allow")
			w.Header().Set("Allow", allow)
			WriteProblem(w, r, StatusError(response.status, "this address does not take that method; it takes %s", allow))
		case http.StatusNotFound:
			WriteProblem(w, r, StatusError(response.status, "there is nothing at this address"))
		default: // a redirect to the clean form of the path
			mux.ServeHTTP(w, r)
		}
	})
}

// headerRecorder is a ResponseWriter that records status and header and discards the body.
type headerRecorder struct {
	header http.Header
	status int
}

func (h *headerRecorder) Header() http.Header { return h.header }

func (h *headerRecorder) WriteHeader(status int) { h.status = status }

func (h *headerRecorder) Write(p []byte) (int, error) { return len(p), nil }
