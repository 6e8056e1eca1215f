package binaries

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/git-pkgs/purl"

	"example.com/todo/scripts/internal/console"
)

// newArtifact is a pin of content, as com.example:thing:1.0.
func newArtifact(t *testing.T, content string) artifact {
	t.Helper()
	p, err := purl.Parse("pkg:maven/com.example/thing@1.0?type=jar")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(content))
	return artifact{Program: "thing", Platform: "any", Package: p, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
}

// newCache is an empty cache over a repository that serves by handler.
func newCache(t *testing.T, handler http.HandlerFunc) Cache {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return Cache{Dir: t.TempDir(), Repositories: map[string]string{"maven": server.URL, "npm": server.URL}, Console: console.Plain(io.Discard)}
}

func TestCacheDownloadsAnArtifactOnceFromItsRepositoryPath(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c := newCache(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/com/example/thing/1.0/thing-1.0.jar" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, "the thing")
	})
	for range 2 {
		paths, err := c.ensure(t.Context(), "thing", []artifact{newArtifact(t, "the thing")})
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(paths[0])
		if err != nil || string(content) != "the thing" {
			t.Errorf("the artifact is %q, %v", content, err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the repository was asked %d times, want once", n)
	}
}

func TestCacheRejectsAndDiscardsAnArtifactWithAnotherChecksum(t *testing.T) {
	t.Parallel()
	for name, served := range map[string]string{
		"changed": "the thinG", "shorter": "the", "longer": "the thing and more", "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, served) })
			_, err := c.ensure(t.Context(), "thing", []artifact{newArtifact(t, "the thing")})
			if err == nil || !strings.Contains(err.Error(), "is not the file that was pinned") {
				t.Errorf("the error is %v", err)
			}
			kept, err := filepath.Glob(filepath.Join(c.Dir, "artifacts", "*", "*"))
			if err != nil || len(kept) != 0 {
				t.Errorf("the cache holds %q, %v; want nothing", kept, err)
			}
		})
	}
}

func TestCacheRetriesATemporaryFailure(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c := newCache(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "the thing")
	})
	if _, err := c.ensure(t.Context(), "thing", []artifact{newArtifact(t, "the thing")}); err != nil {
		t.Error(err)
	}
}

func TestEveryArtifactIsComplete(t *testing.T) {
	t.Parallel()
	pins, err := parseArtifacts(artifactList)
	if err != nil {
		t.Fatal(err)
	}
	sum := regexp.MustCompile(`^[0-9a-f]{64}$`)
	seen := map[string]int{}
	for _, p := range pins {
		seen[p.Program]++
		suffix := map[string]string{"maven": ".jar", "npm": ".tgz"}[p.Package.Type]
		if !sum.MatchString(p.SHA256) || p.Size < 1 || suffix == "" || !strings.HasSuffix(p.fileName(), suffix) {
			t.Errorf("pin %s: size %d, SHA-256 %q, file %q", p.Package, p.Size, p.SHA256, p.fileName())
		}
	}
	if seen["postgres"] != 4 || seen["redis"] != 1 || seen["axe"] != 1 || seen["kafka"] == 0 || seen["kafka-tools"] == 0 || seen["kafka-zookeeper"] == 0 {
		t.Errorf("pins by program: %v", seen)
	}
}

func TestParseArtifactsNamesTheLineOfAnInvalidEntry(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"fields missing": "# comment\nredis any pkg:maven/a/b@1",
		"no package URL": "# comment\nredis any a/b@1 12 abc",
		"size no number": "# comment\nredis any pkg:maven/a/b@1?type=jar big abc",
	} {
		if _, err := parseArtifacts(text); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}
