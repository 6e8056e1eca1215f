package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"sync"

	"example.com/todo/platform/httpserver"
	"example.com/todo/todo-service/internal/contentcoding"
)

//go:embed assets
var assetFiles embed.FS

// assetSet holds the files of one folder. Their path contains one hash of all of them: a
// module imports another by a relative path, and both are of one version.
type assetSet struct {
	root    string // "/assets/<hash>"
	hash    string
	files   map[string]asset
	modules []string // names of the modules that main.js imports, also through other modules
}

type asset struct {
	contentType string
	plain       []byte
	gzipped     []byte
}

// contentTypes has the type of every extension: the table of the operating system may lack some.
var contentTypes = map[string]string{
	".css":         "text/css; charset=utf-8",
	".js":          "text/javascript; charset=utf-8",
	".svg":         "image/svg+xml",
	".png":         "image/png",
	".webmanifest": "application/manifest+json",
}

// loadAssets reads and compresses the embedded files, once. It panics if one of them cannot
// be served, which no test overlooks.
var loadAssets = sync.OnceValue(func() *assetSet {
	const folder = "assets"
	entries, err := assetFiles.ReadDir(folder) // sorted by name
	if err != nil {
		panic(err)
	}
	set := &assetSet{files: map[string]asset{}}
	// The hash covers the policy, too: caches keep it with the assets.
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00", assetPolicy)
	for _, entry := range entries {
		name := entry.Name()
		content, err := assetFiles.ReadFile(path.Join(folder, name))
		if err != nil {
			panic(err)
		}
		extension := path.Ext(name)
		contentType := contentTypes[extension]
		if contentType == "" {
			panic("web: the asset " + name + " has no content type")
		}
		if extension == ".js" || extension == ".css" {
			content = stripComments(content)
		}
		fmt.Fprintf(sum, "%s\x00%d\x00%s", name, len(content), content)
		// early.js is no module, and worker.js runs apart from the document.
		if extension == ".js" && !slices.Contains([]string{"main.js", "early.js", "worker.js"}, name) {
			set.modules = append(set.modules, name)
		}
		set.files[name] = asset{contentType: contentType, plain: content, gzipped: compress(content, gzip.BestCompression)}
	}
	set.hash = hex.EncodeToString(sum.Sum(nil)[:8])
	set.root = "/assets/" + set.hash
	return set
})

// commentLines matches a comment that has its lines for itself. None can begin inside a
// string: a text with several lines, a template literal, is no part of the assets.
var commentLines = regexp.MustCompile(`(?m)^[ \t]*(?://[^\n]*|/\*(?:[^*]|\*+[^*/])*\*+/)[ \t]*$`)

// stripComments empties the lines of comments, which take a quarter of the compressed size.
// A browser's messages then have the line numbers of the source.
func stripComments(source []byte) []byte {
	return commentLines.ReplaceAllFunc(source, func(comment []byte) []byte {
		return bytes.Repeat([]byte("\n"), bytes.Count(comment, []byte("\n")))
	})
}

// serve writes an asset. A request with another hash comes from a document that a replica
// of another version wrote. It gets the file of this version, which no cache may keep.
func (s *assetSet) serve(w http.ResponseWriter, r *http.Request) {
	file, ok := s.files[r.PathValue("name")]
	if !ok {
		httpserver.WriteProblem(w, r, httpserver.StatusError(http.StatusNotFound, "there is no such asset"))
		return
	}
	header := w.Header()
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	if r.PathValue("hash") != s.hash {
		header.Set("Cache-Control", "no-store")
	}
	header.Set("Content-Type", file.contentType)
	header.Set("Content-Security-Policy", assetPolicy)
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Add("Vary", "Accept-Encoding")
	header.Set("X-Content-Type-Options", "nosniff")
	body := file.plain
	if contentcoding.AcceptsGzip(r.Header) {
		body = file.gzipped
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // an error means that the client has disconnected
}
