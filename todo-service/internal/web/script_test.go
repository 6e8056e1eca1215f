package web_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"example.com/todo/todo-service/internal/task"
)

// importOf matches the import of a module of the script.
var importOf = regexp.MustCompile(`(?m)^import .* from '\./([\w-]+\.js)';$`)

func TestModulesOfTheScriptAreThereAndUsed(t *testing.T) {
	t.Parallel()
	files := assetFiles(t)
	used := []string{"early.js", "main.js", "worker.js"} // the document and main.js name them
	for name, content := range files {
		imports := importOf.FindAllStringSubmatch(content, -1)
		if n := strings.Count("\n"+content, "\nimport "); n != len(imports) {
			t.Errorf("%s has %d imports, %d of them in one line from a file beside it", name, n, len(imports))
		}
		for _, found := range imports {
			used = append(used, found[1])
			if _, ok := files[found[1]]; !ok {
				t.Errorf("%s imports %s, which is not there", name, found[1])
			}
		}
	}
	for name := range files {
		if strings.HasSuffix(name, ".js") && !slices.Contains(used, name) {
			t.Errorf("no module imports %s", name)
		}
	}
}

func TestScriptKnowsTheRulesOfTheServer(t *testing.T) {
	t.Parallel()
	f := newFixture()
	words := assetFiles(t)["text.js"]
	if want := fmt.Sprintf("export const MAX_TITLE = %d;", task.MaxTitle); !strings.Contains(words, want) {
		t.Errorf("text.js lacks %q", want)
	}
	levels := regexp.MustCompile(`\{ name: '(\w+)', value: (\d+) \}`).FindAllStringSubmatch(words, -1)
	var got []string
	for _, level := range levels {
		got = append(got, level[2]+" "+level[1])
	}
	var want []string
	field := element(t, f.document(t, "/", http.StatusOK), "new-priority")
	for _, o := range elements(field, func(n *html.Node) bool { return n.Data == "option" }) {
		want = append(want, attribute(o, "value")+" "+text(o))
	}
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the levels of the script are %q, those of the form %q", got, want)
	}
}
