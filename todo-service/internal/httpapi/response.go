package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"example.com/todo/todo-service/internal/task"
)

// writeTask answers with a task, and its version as a strong entity tag.
func writeTask(w http.ResponseWriter, status int, t task.Task) error {
	body, err := encodeJSON(t)
	if err != nil {
		return err
	}
	setETag(w.Header(), versionETag(t.Version))
	writeJSON(w, status, body)
	return nil
}

// writeConditional answers with what was asked for, or with 304 when the client
// has it already.
func writeConditional(w http.ResponseWriter, r *http.Request, body []byte, etag string) {
	setETag(w.Header(), etag)
	if matchesIfNoneMatch(r, etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// setETag identifies an answer. Who keeps it, a cache on the way too, asks before it
// is given to anybody again.
func setETag(header http.Header, etag string) {
	header["Etag"] = []string{etag}
	header["Cache-Control"] = []string{"no-cache"}
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	header := w.Header() // its keys are in their canonical form here
	header["Content-Type"] = []string{"application/json"}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	header["X-Content-Type-Options"] = []string{"nosniff"}
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON, and said to be nothing else; a client that left needs no answer
}

// encodeJSON leaves <, > and & as they were written: the answer is never HTML.
func encodeJSON(v any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), err
}
