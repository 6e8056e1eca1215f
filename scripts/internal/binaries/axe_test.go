package binaries

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/git-pkgs/purl"
)

// packed is an npm package with one file.
func packed(t *testing.T, name, content string) string {
	t.Helper()
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	archive := tar.NewWriter(zipped)
	if err := archive.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.String()
}

func TestCacheDownloadsAnNPMPackageFromItsRegistryPath(t *testing.T) {
	t.Parallel()
	content := packed(t, axeScript, "the script")
	c := newCache(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/thing/-/thing-1.0.tgz" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(content))
	})
	p, err := purl.Parse("pkg:npm/thing@1.0?type=tgz")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(content))
	pin := artifact{Program: "thing", Platform: "any", Package: p, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	paths, err := c.ensure(t.Context(), "thing", []artifact{pin})
	if err != nil {
		t.Fatal(err)
	}
	if script, err := readScript(paths[0]); err != nil || script != "the script" {
		t.Errorf("the script is %q, %v", script, err)
	}
}

func TestReadScriptNamesThePackageThatLacksIt(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"another file": packed(t, "package/other.js", "x"), "no archive": "x"} {
		path := t.TempDir() + "/axe.tgz"
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readScript(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}
