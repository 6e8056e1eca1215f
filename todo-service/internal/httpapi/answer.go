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
	body, err := encode(t)
	if err != nil {
		return err
	}
	tag(w.Header(), versionTag(t.Version))
	writeJSON(w, status, body)
	return nil
}

// writeUnlessHeld answers with what was asked for, or with 304 when the client
// has it already.
func writeUnlessHeld(w http.ResponseWriter, r *http.Request, body []byte, etag string) {
	tag(w.Header(), etag)
	if held(r, etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// tag identifies an answer. Who keeps it, a cache on the way too, asks before it
// is given to anybody again.
func tag(header http.Header, etag string) {
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

// encode leaves <, > and & as they were written: the answer is never HTML.
func encode(v any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), err
}
