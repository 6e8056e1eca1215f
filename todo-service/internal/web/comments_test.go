package web

import "testing"

func TestCommentsAreStrippedWithTheirLines(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"// a\nb();\n":                       "\nb();\n",
		"\t// a\n\tb(); // c\n":              "\n\tb(); // c\n",
		"/** a\n * b *\n **/\nc();\n":        "\n\n\nc();\n",
		"/* a */ b();\nc(); /* d */\n":       "/* a */ b();\nc(); /* d */\n",
		"/*\n// a */\nb();\n":                "\n\nb();\n",
		"// /*\na();\n// */\n":               "\na();\n\n",
		"a('//b');\nc(/\\/*d/);\n":           "a('//b');\nc(/\\/*d/);\n",
		"a {\n  /* b */\n  color: red;\n}\n": "a {\n\n  color: red;\n}\n",
		"a();":                               "a();",
		"":                                   "",
	} {
		if got := string(stripComments([]byte(source))); got != want {
			t.Errorf("%q becomes %q, want %q", source, got, want)
		}
	}
}
