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
	w.Header().Set("ETag", `"`+strconv.FormatInt(t.Version, 10)+`"`)
	writeJSON(w, status, body)
	return nil
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
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
