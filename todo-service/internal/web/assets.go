package web

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"example.com/todo/platform/httpserver"
)

//go:embed assets
var assetFiles embed.FS

// assetSet holds the assets, plain and compressed. Their path contains one hash of all of
// them, so that a module imports another one by a relative path, and both have the same age.
type assetSet struct {
	root  string // "/assets/<hash>"
	hash  string
	files map[string]asset
}

type asset struct {
	contentType string
	plain       []byte
	gzipped     []byte
}

// contentTypes by file extension; the table of the operating system may lack some.
var contentTypes = map[string]string{
	".css":         "text/css; charset=utf-8",
	".js":          "text/javascript; charset=utf-8",
	".svg":         "image/svg+xml",
	".png":         "image/png",
	".webmanifest": "application/manifest+json",
}

func loadAssets() *assetSet {
	set := &assetSet{files: map[string]asset{}}
	sum := sha256.New()
	root, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // impossible: the folder is embedded
	}
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		sum.Write([]byte(name + "\x00" + strconv.Itoa(len(content)) + "\x00"))
		sum.Write(content)
		set.files[name] = asset{contentType: contentTypes[path.Ext(name)], plain: content, gzipped: compress(content)}
		return nil
	})
	if err != nil {
		panic(err) // impossible: the files are embedded
	}
	set.hash = hex.EncodeToString(sum.Sum(nil)[:8])
	set.root = "/assets/" + set.hash
	return set
}

func compress(content []byte) []byte {
	var buffer bytes.Buffer
	w, _ := gzip.NewWriterLevel(&buffer, gzip.BestCompression) // the level is valid
	_, _ = w.Write(content)                                    // a buffer returns no error
	_ = w.Close()
	return buffer.Bytes()
}

// serve writes an asset. A request with the hash of another version, whose replica served
// the document, gets the file of this version, and no cache keeps it.
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
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Vary", "Accept-Encoding")
	header.Set("X-Content-Type-Options", "nosniff")
	body := file.plain
	if acceptsGzip(r.Header) {
		body = file.gzipped
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // an error means that the client has disconnected
}

// acceptsGzip reports whether Accept-Encoding has gzip with a weight above 0.
func acceptsGzip(header http.Header) bool {
	for wanted := range strings.SplitSeq(strings.Join(header.Values("Accept-Encoding"), ","), ",") {
		coding, parameters, err := mime.ParseMediaType(wanted) // a coding with its weight has the same syntax
		if err != nil || coding != "gzip" {
			continue
		}
		weight, err := strconv.ParseFloat(cmp.Or(parameters["q"], "1"), 64)
		return err == nil && weight > 0
	}
	return false
}
