// Package docs serves the OpenAPI document, as YAML and as a Swagger UI page. The page
// loads nothing from other servers.
package docs

import (
	"compress/gzip"
	_ "embed" // the page
	"io"
	"net/http"

	"github.com/swaggest/swgui/v5/static"

	"example.com/todo/contracts/openapi"
	"example.com/todo/todo-service/internal/contentcoding"
)

//go:embed page.html
var page string

//go:embed start.js
var start string

// contentSecurityPolicy allows the page to load from this server only.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const (
	html       = "text/html; charset=utf-8"
	css        = "text/css; charset=utf-8"
	javascript = "text/javascript; charset=utf-8"
)

// Register adds the routes of the document and of the page to mux.
func Register(mux *http.ServeMux) {
	mux.Handle("GET /openapi.yaml", serveText("application/yaml", openapi.Todo))
	mux.Handle("GET /docs", serveText(html, page))
	mux.Handle("GET /docs/start.js", serveText(javascript, start))
	mux.Handle("GET /docs/swagger-ui.css", serveGzipped(css, "swagger-ui.css.gz"))
	mux.Handle("GET /docs/swagger-ui-bundle.js", serveGzipped(javascript, "swagger-ui-bundle.js.gz"))
}

func serveText(contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		setHeaders(w.Header(), contentType)
		_, _ = io.WriteString(w, body) // an error means that the client has disconnected
	})
}

// serveGzipped serves a file of Swagger UI, which the binary holds in gzip form only.
func serveGzipped(contentType, name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, err := static.FS.Open(name)
		if err != nil {
			panic(err) // impossible: the file is embedded
		}
		defer file.Close()
		header := w.Header()
		setHeaders(header, contentType)
		header.Set("Cache-Control", "max-age=3600")
		header.Add("Vary", "Accept-Encoding")
		var body io.Reader = file
		if contentcoding.AcceptsGzip(r.Header) {
			header.Set("Content-Encoding", "gzip")
		} else if body, err = gzip.NewReader(file); err != nil {
			panic(err)
		}
		_, _ = io.Copy(w, body) //nolint:gosec // the compressed file is embedded
	})
}

func setHeaders(header http.Header, contentType string) {
	header.Set("Content-Type", contentType)
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
}
