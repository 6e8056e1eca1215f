package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"example.com/todo/contracts/openapi"
)

func TestOpenAPIDocumentIsServedUnchanged(t *testing.T) {
	t.Parallel()
	response := newFixture().request("GET", "/openapi.yaml", "")
	if response.Status != http.StatusOK || response.Body != openapi.Todo {
		t.Errorf("%d, %d bytes", response.Status, len(response.Body))
	}
}

func TestEveryDocumentedOperationIsServed(t *testing.T) {
	t.Parallel()
	paths, _, _ := strings.Cut(openapi.Todo, "\ncomponents:")
	entry := regexp.MustCompile(`(?m)^  (/\S*):$|^    (get|post|put|patch|delete):$`)
	var path string
	operations := 0
	for _, match := range entry.FindAllStringSubmatch(paths, -1) {
		if match[1] != "" {
			path = strings.NewReplacer("{id}", "1", "{asset}", "start.js").Replace(match[1])
			continue
		}
		operations++
		s, header := newFixture(), []string(nil)
		if strings.HasPrefix(path, "/sessions") || strings.HasPrefix(path, "/users") {
			signedIn := newSignInFixture(t, true)
			s, header = signedIn.apiFixture, []string{"Authorization", "Bearer " + signedIn.signIn(t, "ann@example.com")}
			path = strings.Replace(path, "/1", "/current", 1)
		} else {
			s.create(t, `{"title":"A"}`)
		}
		s.watcher.endWith = errStopping()
		method := strings.ToUpper(match[2])
		response := s.request(method, path, "", header...)
		if response.Status == http.StatusMethodNotAllowed || response.Status == http.StatusNotFound {
			t.Errorf("%s %s: %d", method, path, response.Status)
		}
	}
	if operations < 18 {
		t.Errorf("the document has %d operations: this test does not find all of them", operations)
	}
}

// Everything that the page references is served here, and its content security policy
// forbids other servers.
func TestDocsPageReferencesOnlyServedFiles(t *testing.T) {
	t.Parallel()
	s := newFixture()
	page := s.request("GET", "/docs", "")
	wantHeader(t, page, map[string]string{"Content-Type": "text/html; charset=utf-8"})
	if policy := page.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "http") {
		t.Errorf("the policy is %q", policy)
	}
	references := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.Body, -1)
	if len(references) < 3 {
		t.Errorf("the page references %q", references)
	}
	for _, name := range references {
		if name[1] == "data:," {
			continue
		}
		if response := s.request("GET", name[1], ""); response.Status != http.StatusOK || response.Body == "" {
			t.Errorf("%s: %d", name[1], response.Status)
		}
	}
}

func TestDocsFilesAreTheSameCompressedAndPlain(t *testing.T) {
	t.Parallel()
	s := newFixture()
	for _, name := range []string{"swagger-ui.css", "swagger-ui-bundle.js"} {
		plain, packed := s.request("GET", "/docs/"+name, ""), s.request("GET", "/docs/"+name, "", "Accept-Encoding", "gzip, br")
		wantHeader(t, plain, map[string]string{"Content-Encoding": ""})
		wantHeader(t, packed, map[string]string{"Content-Encoding": "gzip"})
		reader, err := gzip.NewReader(strings.NewReader(packed.Body))
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := io.ReadAll(reader)
		if err != nil || !bytes.Equal(unpacked, []byte(plain.Body)) {
			t.Errorf("%s: %d bytes unpacked, %d plain, %v", name, len(unpacked), len(plain.Body), err)
		}
	}
}
