package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"example.com/todo/todo-service/internal/task"
)

// writeTask writes a task, with its version as a strong entity tag.
func writeTask(w http.ResponseWriter, status int, t task.Task) error {
	body, err := encodeJSON(t)
	if err != nil {
		return err
	}
	setETag(w.Header(), versionETag(t.Version))
	writeJSON(w, status, body)
	return nil
}

// writeConditional writes the body, or 304 if If-None-Match has its entity tag.
func writeConditional(w http.ResponseWriter, r *http.Request, body []byte, etag string) {
	setETag(w.Header(), etag)
	if matchesIfNoneMatch(r.Header, etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// setETag sets the entity tag. With no-cache, a client or proxy that stores the response
// must revalidate it before each use.
func setETag(header http.Header, etag string) {
	header["Etag"] = []string{etag}
	setCacheControl(header, "no-cache")
}

// setCacheControl sets the header unless the response is personal, which has its own.
func setCacheControl(header http.Header, value string) {
	if _, personal := header["Cache-Control"]; !personal {
		header["Cache-Control"] = []string{value}
	}
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	header := w.Header() // written as a map, with canonical keys: Set would canonicalize them on every request
	header["Content-Type"] = []string{"application/json"}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	header["X-Content-Type-Options"] = []string{"nosniff"}
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // the content type is JSON, with nosniff; an error means that the client has disconnected
}

// encodeJSON returns v as JSON without a final newline. It does not escape <, > and &:
// the response is never HTML.
func encodeJSON(v any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), err
}
