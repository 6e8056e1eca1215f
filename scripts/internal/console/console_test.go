package console

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLineWriterPrintsCompleteLinesWithTheirName(t *testing.T) {
	t.Parallel()
	var shown bytes.Buffer
	c := Plain(&shown)
	todo, stats := c.LineWriter("todo-service"), c.LineWriter("stats-service")
	io.WriteString(todo, "one ")
	io.WriteString(stats, "counted\r\n")
	io.WriteString(todo, "line\nand another\nand a half")
	want := "stats-service        │ counted\n" +
		"todo-service         │ one line\n" +
		"todo-service         │ and another\n"
	if diff := cmp.Diff(want, shown.String()); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
}

func TestLineWriterSplitsALineWithoutEnd(t *testing.T) {
	t.Parallel()
	var shown bytes.Buffer
	w := Plain(&shown).LineWriter("noisy")
	io.WriteString(w, strings.Repeat("x", maxPartial+1))
	if n := strings.Count(shown.String(), "x"); n != maxPartial+1 {
		t.Errorf("%d bytes were shown, want %d", n, maxPartial+1)
	}
}

func TestLineWriterEscapesInvisibleCharacters(t *testing.T) {
	t.Parallel()
	var shown bytes.Buffer
	c := Plain(&shown)
	io.WriteString(c.LineWriter("kafka"), "a\x1b]52;c;cHduZWQ=\x1b\\\rb\u202e\u2028\xff\tGröße\n")
	c.Progress("%s: %s", "redis", "\x1b[2Jaway")
	want := `kafka                │ a\x1b]52;c;cHduZWQ=\x1b\\rb\u202e\u2028\xff` + "\tGröße\n" + `==> redis: \x1b[2Jaway` + "\n"
	if diff := cmp.Diff(want, shown.String()); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
}
