package web_test

import (
	"net/http"
	"path"
	"regexp"
	"slices"
	"testing"

	"golang.org/x/net/html"
)

var importedModule = regexp.MustCompile(`(?m)^import .* from '\./([^']+)';$`)

// Otherwise a browser would find each module only in the module that imports it.
func TestDocumentPreloadsTheModulesOfItsScript(t *testing.T) {
	t.Parallel()
	files := assetFiles(t)
	var want []string
	for imports := []string{"main.js"}; len(imports) > 0; imports = imports[1:] {
		for _, match := range importedModule.FindAllStringSubmatch(files[imports[0]], -1) {
			if !slices.Contains(want, match[1]) {
				want, imports = append(want, match[1]), append(imports, match[1])
			}
		}
	}
	slices.Sort(want)
	f := newFixture()
	root := f.document(t, "/", http.StatusOK)
	var got []string
	for _, n := range elements(root, func(n *html.Node) bool { return attribute(n, "rel") == "modulepreload" }) {
		folder, name := path.Split(attribute(n, "href"))
		if folder != assetsOf(t, f)+"/" {
			t.Errorf("%s is in %s", name, folder)
		}
		got = append(got, name)
	}
	if !slices.Equal(got, want) || len(got) < 20 {
		t.Errorf("the document preloads\n%q, and main.js imports\n%q", got, want)
	}
}
