package web_test

import (
	"io/fs"
	"net/http"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// maxCompressed is the largest size of document and assets together, in bytes: a phone on
// a slow network loads it in about a second.
const maxCompressed = 60_000

// assetsOf returns the path of the assets.
func assetsOf(t testing.TB, f *fixture) string {
	t.Helper()
	root := f.document(t, "/", http.StatusOK)
	return attribute(elements(root, func(n *html.Node) bool { return n.Data == "html" })[0], "data-assets")
}

// assetFiles returns the names of the assets with their content.
func assetFiles(t testing.TB) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := fs.ReadDir(os.DirFS("."), "assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile("assets/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = string(content)
	}
	if len(files) < 4 {
		t.Fatalf("%d assets", len(files))
	}
	return files
}

func TestAssetsAreServedPlainAndCompressed(t *testing.T) {
	t.Parallel()
	f := newFixture()
	root := assetsOf(t, f)
	types := map[string]string{"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml", "webmanifest": "application/manifest+json", "png": "image/png"}
	for name, content := range assetFiles(t) {
		plain, packed := f.request(http.MethodGet, root+"/"+name), f.request(http.MethodGet, root+"/"+name, "Accept-Encoding", "gzip")
		if plain.Status != http.StatusOK || !isSourceWithoutComments(content, plain.Body) || plain.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d, %d bytes", name, plain.Status, len(plain.Body))
		}
		if packed.Header.Get("Content-Encoding") != "gzip" || unzip(t, packed.Body) != plain.Body {
			t.Errorf("%s: the compressed file is another one", name)
		}
		if strings.Contains(plain.Body, "/**") || strings.HasPrefix(plain.Body, "//") {
			t.Errorf("%s is served with its comments", name)
		}
		_, extension, _ := strings.Cut(name, ".")
		want := map[string]string{
			"Content-Type":                 types[extension],
			"Cache-Control":                "public, max-age=31536000, immutable",
			"Vary":                         "Accept-Encoding",
			"X-Content-Type-Options":       "nosniff",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Content-Security-Policy":      "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
		}
		for header, value := range want {
			if plain.Header.Get(header) != value || packed.Header.Get(header) != value {
				t.Errorf("%s: %s is %q", name, header, plain.Header.Get(header))
			}
		}
		head := f.request(http.MethodHead, root+"/"+name)
		if head.Status != http.StatusOK || head.Header.Get("Content-Length") != plain.Header.Get("Content-Length") {
			t.Errorf("HEAD %s: %d, %q", name, head.Status, head.Header.Get("Content-Length"))
		}
	}
}

// isSourceWithoutComments reports whether served is source, of which lines that are comments
// may be empty.
func isSourceWithoutComments(source, served string) bool {
	want, got := strings.Split(source, "\n"), strings.Split(served, "\n")
	if len(want) != len(got) {
		return false
	}
	inComment := false
	for i, line := range want {
		trimmed := strings.TrimSpace(line)
		inComment = inComment || strings.HasPrefix(trimmed, "/*")
		if got[i] != line && (got[i] != "" || !inComment && !strings.HasPrefix(trimmed, "//")) {
			return false
		}
		inComment = inComment && !strings.Contains(line, "*/")
	}
	return true
}

// Otherwise a line of a text could be taken for a comment.
func TestNoTextOfAScriptHasSeveralLines(t *testing.T) {
	t.Parallel()
	for name, content := range assetFiles(t) {
		for i, line := range strings.Split(content, "\n") {
			if strings.HasSuffix(name, ".js") && (strings.Count(line, "`")%2 != 0 || strings.HasSuffix(line, "\\")) {
				t.Errorf("%s:%d: a text goes on in the next line", name, i+1)
			}
		}
	}
}

func TestAssetOfAnotherVersionIsTheCurrentOneAndNotKept(t *testing.T) {
	t.Parallel()
	f := newFixture()
	got, current := f.request(http.MethodGet, "/assets/0123456789abcdef/main.js"), f.request(http.MethodGet, assetsOf(t, f)+"/main.js")
	if got.Status != http.StatusOK || got.Body != current.Body || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d, Cache-Control %q", got.Status, got.Header.Get("Cache-Control"))
	}
}

func TestFaviconIsTheIcon(t *testing.T) {
	t.Parallel()
	f := newFixture()
	got := f.request(http.MethodGet, "/favicon.ico")
	if to := got.Header.Get("Location"); got.Status != http.StatusFound || to != assetsOf(t, f)+"/icon.svg" || f.request(http.MethodGet, to).Status != http.StatusOK {
		t.Errorf("%d, Location %q", got.Status, to)
	}
}

func TestUnknownAssetIsNotFound(t *testing.T) {
	t.Parallel()
	f := newFixture()
	root := assetsOf(t, f)
	for _, target := range []string{root + "/none.js", root + "/", root, "/assets/main.js", root + "/sub/main.js", root + "/..%2fweb.go", root + "/%2e%2e%2fassets%2fmain.js"} {
		if got := f.request(http.MethodGet, target); got.Status != http.StatusNotFound || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, Cache-Control %q", target, got.Status, got.Header.Get("Cache-Control"))
		}
	}
}

func TestPageFitsIntoItsBudget(t *testing.T) {
	t.Parallel()
	f := newFixture()
	sizes := map[string]int{"document": len(f.request(http.MethodGet, "/", "Accept-Encoding", "gzip").Body)}
	root := assetsOf(t, f)
	for name := range assetFiles(t) {
		sizes[name] = len(f.request(http.MethodGet, root+"/"+name, "Accept-Encoding", "gzip").Body)
	}
	total := 0
	for _, size := range sizes {
		total += size
	}
	if total > maxCompressed {
		t.Errorf("the page takes %d bytes, at most %d: %v", total, maxCompressed, sizes)
	}
	t.Logf("the page takes %d bytes compressed", total)
}
