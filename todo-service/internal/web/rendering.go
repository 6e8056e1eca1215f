package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"

	"example.com/todo/todo-service/internal/contentcoding"
)

// rendering is a rendered document. It is kept compressed, a tenth of its size, because a
// client may take 15 s to read it.
type rendering struct {
	compressed []byte
	size       int // bytes, uncompressed
}

// render executes a template.
func (p *page) render(name string, data any) rendering {
	var body bytes.Buffer
	if err := p.templates.ExecuteTemplate(&body, name, data); err != nil {
		panic(err) // a defect of the template
	}
	content := body.Bytes()
	if !utf8.Valid(content) { // a form or a query had other bytes
		content = bytes.ToValidUTF8(content, []byte(string(utf8.RuneError)))
	}
	return rendering{compress(content, gzip.BestSpeed), len(content)} // in a fifth of the time of the template
}

// compress compresses content with gzip, at a level of package gzip.
func compress(content []byte, level int) []byte {
	var compressed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&compressed, level) // the level is valid
	_, _ = w.Write(content)                         // a buffer returns no error
	_ = w.Close()
	return compressed.Bytes()
}

// write writes the response, compressed if it may be and the client accepts that.
func (p *page) write(w http.ResponseWriter, r *http.Request, status int, content rendering, mayCompress bool) {
	header := w.Header()
	p.setDocumentHeaders(header)
	header.Add("Vary", "Accept-Encoding")
	// An error of a copy means that the client has disconnected.
	if mayCompress && contentcoding.AcceptsGzip(r.Header) {
		header.Set("Content-Encoding", "gzip")
		header.Set("Content-Length", strconv.Itoa(len(content.compressed)))
		w.WriteHeader(status)
		_, _ = w.Write(content.compressed)
		return
	}
	plain, err := gzip.NewReader(bytes.NewReader(content.compressed))
	if err != nil {
		panic(err) // render has compressed it
	}
	header.Set("Content-Length", strconv.Itoa(content.size))
	w.WriteHeader(status)
	_, _ = io.CopyN(w, plain, int64(content.size))
}
