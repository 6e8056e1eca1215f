package printable_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/todo/platform/printable"
)

// hidden are characters that are invisible or control a terminal.
var hidden = map[string]string{
	"escape":                     "\x1b",
	"an operating system code":   "\x1b]52;c;cHduZWQ=\x1b\\",
	"line feed":                  "\n",
	"carriage return":            "\r",
	"tab":                        "\t",
	"null":                       "\x00",
	"bell":                       "\a",
	"backspace":                  "\b",
	"delete":                     "\x7f",
	"C1: control sequence":       "\u009b",
	"C1: next line":              "\u0085",
	"line separator":             "\u2028",
	"paragraph separator":        "\u2029",
	"right-to-left override":     "\u202e",
	"left-to-right embedding":    "\u202a",
	"pop directional format":     "\u202c",
	"right-to-left isolate":      "\u2067",
	"pop directional isolate":    "\u2069",
	"left-to-right mark":         "\u200e",
	"right-to-left mark":         "\u200f",
	"Arabic letter mark":         "\u061c",
	"zero width space":           "\u200b",
	"zero width no-break space":  "\ufeff",
	"word joiner":                "\u2060",
	"invisible separator":        "\u2063",
	"soft hyphen":                "\u00ad",
	"Hangul filler":              "\u3164",
	"a joiner among Latin":       "\u200d",
	"a non-joiner among Latin":   "\u200c",
	"a selector after another":   "x\ufe0f\ufe0f",
	"a joiner after such a one":  "x\ufe0f\ufe0f\u200d🌈",
	"a joiner before a selector": "क\u200d\ufe0f",
	"tag letter":                 "\U000e0041",
	"private use":                "\ue000",
	"interlinear annotation":     "\ufff9",
	"not a character":            "\U0010ffff",
}

// shown are texts that Escape returns unchanged.
var shown = []string{
	"Learn Go", `C:\new "folder" 'x' <b>&amp;`, "Größe, naïve, Ångström", "Выучить Go", "学习围棋", "買い物　リスト", "한국어 배우기",
	"تعلّم لغة Go", "می\u200cخواهم", "ללמוד", "क्\u200dष सीखो", "ශ්\u200dරී ලංකා", "เรียนภาษา",
	"👩\u200d👩\u200d👧\u200d👦 family", "❤\ufe0f\u200d🔥", "🏳\ufe0f\u200d🌈", "👍🏽", "1\ufe0f⃣", "é", "50 % à 10 €", "a b", "�",
}

func TestEscapeChangesOnlyCharactersThatAreNotVisible(t *testing.T) {
	t.Parallel()
	for name, text := range hidden {
		got := printable.Escape("a" + text + "b")
		if got == "a"+text+"b" || !strings.HasPrefix(got, "a") || !strings.HasSuffix(got, "b") || !strings.Contains(got, `\`) {
			t.Errorf("%s: %q", name, got)
		}
		for _, r := range []string{"\x1b", "\n", "\r", "\u202e", "\u2028", "\u009b", "\u200b"} {
			if strings.Contains(got, r) {
				t.Errorf("%s: %q holds %q", name, got, r)
			}
		}
	}
	for _, text := range shown {
		if got := printable.Escape(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestEscapeNamesTheCharacterThatItReplaces(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\x1b[2Jb": `a\x1b[2Jb`, "a\nb": `a\nb`, "a\u202eb": `a\u202eb`, "a\xffb\xc3": `a\xffb\xc3`, "a\U000e0041": `a\U000e0041`, "\u009b": `\u009b`,
	} {
		if got := printable.Escape(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestExcerptIsBoundedAndKeepsBothEnds(t *testing.T) {
	t.Parallel()
	for name, long := range map[string]string{
		"letters": strings.Repeat("x", 500_000), "escapes": strings.Repeat("\x1b", 20_000),
		"bytes": strings.Repeat("\xff", 20_000), "emoji": strings.Repeat("👍🏽", 20_000), "tags": strings.Repeat("\U000e0041", 20_000),
	} {
		got := printable.Excerpt("begin" + long + "end")
		if n := utf8.RuneCountInString(got); n > printable.MaxCharacters+30 || n < printable.MaxCharacters*3/4 {
			t.Errorf("%s: %d characters", name, n)
		}
		if !strings.HasPrefix(got, "begin") || !strings.HasSuffix(got, "end") || !strings.Contains(got, " bytes left out]") {
			t.Errorf("%s: %.20s … %s", name, got, got[len(got)-20:])
		}
	}
	if fits := strings.Repeat("👍", printable.MaxCharacters); printable.Excerpt(fits) != fits {
		t.Error("a text that fits was truncated")
	}
}

func TestEscapeJSONKeepsTheMeaningOfADocument(t *testing.T) {
	t.Parallel()
	for name, text := range hidden {
		var document bytes.Buffer
		encoder := json.NewEncoder(&document)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "\t")
		if err := encoder.Encode(map[string]string{"k" + text: "v" + text + "w"}); err != nil {
			t.Fatal(err)
		}
		got := printable.EscapeJSON(document.Bytes())
		var read map[string]string
		if err := json.Unmarshal(got, &read); err != nil || read["k"+text] != "v"+text+"w" {
			t.Errorf("%s: %s reads as %q, error %v", name, got, read, err)
		}
		for line := range strings.SplitSeq(string(got), "\n") {
			if line = strings.TrimLeft(line, "\t"); printable.Escape(line) != line {
				t.Errorf("%s: %q", name, line)
			}
		}
	}
	for _, text := range shown {
		document, _ := json.Marshal(text)
		if got := printable.EscapeJSON(document); !bytes.Equal(got, document) {
			t.Errorf("%s became %s", document, got)
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, text := range hidden {
		f.Add(text)
	}
	for _, text := range shown {
		f.Add(text)
	}
	f.Add("\ufe0f\u200d🌈")
	f.Fuzz(func(t *testing.T, text string) {
		got := printable.Escape(text)
		if printable.Escape(got) != got || !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\n\r\u202e\u2028") {
			t.Errorf("%q became %q", text, got)
		}
		if n := utf8.RuneCountInString(printable.Excerpt(text)); n > printable.MaxCharacters+30 {
			t.Errorf("an excerpt of %q has %d characters", text, n)
		}
		document, _ := json.Marshal(text)
		var read, want string
		_ = json.Unmarshal(document, &want)
		if err := json.Unmarshal(printable.EscapeJSON(document), &read); err != nil || read != want {
			t.Errorf("JSON of %q reads as %q, error %v", text, read, err)
		}
	})
}
