package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/printable"
)

// evil is text that must be escaped everywhere.
const evil = "A\x1b]52;c;cHduZWQ=\x1b\\B\x1b[31m\u009bC\nlevel=ERROR\rD\u202eE\u2028F\u200bG\x7fH\xffI\x00"

// loggers returns a logger of each format.
func loggers(w io.Writer) map[string]*slog.Logger {
	return map[string]*slog.Logger{"json": New(w, Config{Format: "json"}, "s"), "text": New(w, Config{Format: "text"}, "s")}
}

// checkLine fails the test when line is longer than maxBytes or is not one line of visible
// characters.
func checkLine(t *testing.T, name, line string, maxBytes int) {
	t.Helper()
	shown, whole := strings.CutSuffix(line, "\n")
	if !whole || printable.Escape(shown) != shown {
		t.Errorf("%s: not one visible line: %q", name, shown)
	}
	if name == "json" && !json.Valid([]byte(line)) {
		t.Errorf("not JSON: %s", line)
	}
	if len(line) > maxBytes {
		t.Errorf("%s: a line of %d bytes", name, len(line))
	}
}

type (
	stringer  struct{ text string }
	marshaler struct{ text string }
	texter    struct{ text string }
	valuer    struct{ text string }
	nilError  struct{}
	panicking struct{}
)

func (s stringer) String() string                { return s.text }
func (m marshaler) MarshalJSON() ([]byte, error) { return json.Marshal("json:" + m.text) }
func (x texter) MarshalText() ([]byte, error)    { return []byte(x.text), nil }
func (v valuer) LogValue() slog.Value            { return slog.GroupValue(slog.String("in"+v.text, v.text)) }
func (e *nilError) Error() string                { panic("there is no error: " + evil) }
func (panicking) MarshalJSON() ([]byte, error)   { panic(evil) }
func (panicking) String() string                 { panic(evil) }

func TestEachKindOfValueIsOneLineOfVisibleCharacters(t *testing.T) {
	t.Parallel()
	attrs := map[string]slog.Attr{
		"string":            slog.String("k", evil),
		"key":               slog.String("k"+evil, "v"),
		"error":             slog.Any("error", errors.New(evil)),
		"joined errors":     slog.Any("error", errors.Join(errors.New("a"), fmt.Errorf("b: %w", errors.New(evil)))),
		"Stringer":          slog.Any("k", stringer{evil}),
		"json.Marshaler":    slog.Any("k", marshaler{evil}),
		"TextMarshaler":     slog.Any("k", texter{evil}),
		"LogValuer":         slog.Any("k", valuer{evil}),
		"bytes":             slog.Any("k", []byte(evil)),
		"strings":           slog.Any("k", []string{evil, evil}),
		"map":               slog.Any("k", map[string]string{evil: evil}),
		"struct":            slog.Any("k", struct{ Text string }{evil}),
		"pointer":           slog.Any("k", &struct{ Text string }{evil}),
		"group":             slog.Group("g"+evil, slog.String("k", evil), slog.Group("h", slog.Any("k"+evil, errors.New(evil)))),
		"group without key": slog.Group("", slog.String("k", evil)),
		"nil error":         slog.Any("error", (*nilError)(nil)),
		"panic":             slog.Any("k", panicking{}),
		"nil":               slog.Any("k", nil),
		"a lookalike":       slog.String("k", `a \x1b[31m b`),
		"a key lookalike":   slog.String(`a \x1b[31m b`, "v"),
	}
	for name := range loggers(io.Discard) {
		for kind, attr := range attrs {
			var out bytes.Buffer
			log := loggers(&out)[name]
			log.LogAttrs(t.Context(), slog.LevelInfo, "hello", attr)
			checkLine(t, name, out.String(), 4<<10)
			out.Reset()
			log.With(attr).WithGroup("g"+evil).Info(evil, "k", 1)
			checkLine(t, name, out.String(), 4<<10)
			if t.Failed() {
				t.Fatalf("%s, %s", name, kind)
			}
		}
	}
}

func TestValueKeepsItsCharactersUpToTheLimit(t *testing.T) {
	t.Parallel()
	for name := range loggers(io.Discard) {
		var out bytes.Buffer
		log := loggers(&out)[name]
		log.Info("hello", "path", "/a\xffb\u202ec", "title", "Größe 学习")
		log.Info("hello", "list", []string{"c\xffd", "end"})
		for _, want := range []string{`/a`, `xffb`, `\u202ec`, "Größe 学习", `xffd`, "end"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %s in %s", name, want, out.String())
			}
		}
	}
	var line struct{ Path string }
	var out bytes.Buffer
	New(&out, Config{Format: "json"}, "s").Info("hello", "path", "/a\u202e\x1b\U000e0041b")
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Path != "/a\u202e\x1b\U000e0041b" {
		t.Errorf("%s reads as %q, error %v", out.String(), line.Path, err)
	}
}

func TestLongValueIsTruncated(t *testing.T) {
	t.Parallel()
	for kind, long := range map[string]string{
		"letters": strings.Repeat("x", 500_000), "escapes": strings.Repeat("\x1b", 20_000), "bytes": strings.Repeat("\xff", 20_000),
		"hidden": strings.Repeat("\u202e", 20_000), "tags": strings.Repeat("\U000e0041", 20_000), "emoji": strings.Repeat("👍", 20_000),
	} {
		for name := range loggers(io.Discard) {
			for _, value := range []any{long, errors.New(long), []byte(long), []string{long}, map[string]string{long: long}, []*string{&long}, texter{long}} {
				var out bytes.Buffer
				log := loggers(&out)[name]
				for _, write := range []func(){
					func() { log.Info("begin", "k", value) },
					func() { log.Info("begin"+long, "k", 1) },
					func() { log.Info("begin"+long, "k", value) },
					func() { log.With("k", value).Info("begin", "n", 1) },
					func() { log.Info("begin", slog.Group("g", "k", value)) },
				} {
					out.Reset()
					write()
					checkLine(t, name, out.String(), 12<<10)
				}
				if t.Failed() {
					t.Fatalf("%s, %s, %T", kind, name, value)
				}
			}
		}
	}
}

func TestStackTraceIsLoggedWhole(t *testing.T) {
	t.Parallel()
	stack := strings.Repeat("frame\n", 1000)
	var line struct{ Stack string }
	var out bytes.Buffer
	New(&out, Config{Format: "json"}, "s").Info("panic", "stack", stack)
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Stack != stack {
		t.Errorf("%d of %d bytes, error %v", len(line.Stack), len(stack), err)
	}
}

func TestVisibleMessageIsWrittenUnchanged(t *testing.T) {
	t.Parallel()
	const message = `Notification: Task '学习 "Go" \ é ` + "می\u200cخواهم 👩\u200d👧 \u00a0" + `' has been completed!`
	var out bytes.Buffer
	New(&out, Config{Format: "text"}, "s").Info(message)
	if !strings.Contains(out.String(), message) {
		t.Errorf("%s", out.String())
	}
	var line struct{ Msg string }
	out.Reset()
	New(&out, Config{Format: "json"}, "s").Info(message)
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Msg != message {
		t.Errorf("%q, error %v", line.Msg, err)
	}
}

func TestPlainLineCausesNoAllocation(t *testing.T) {
	attrs := []slog.Attr{slog.Any("level", slog.LevelInfo), slog.String("path", "/tasks"), slog.Int("status", 200)}
	line := []byte(`{"level":"INFO","msg":"HTTP request","path":"/tasks","status":200}` + "\n")
	writer := &escapingWriter{w: io.Discard, escape: printable.EscapeJSON}
	n := testing.AllocsPerRun(1000, func() {
		for _, attr := range attrs {
			_ = sanitizeAttr(nil, attr)
		}
		_, _ = writer.Write(line)
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAddressesAreLoggedAsText(t *testing.T) {
	t.Parallel()
	for name := range loggers(io.Discard) {
		var out bytes.Buffer
		loggers(&out)[name].Info("hello", "client", netip.MustParseAddr("10.0.0.1"), "at", time.Unix(0, 0).UTC(), "partitions", []int32{1, 2})
		if !strings.Contains(out.String(), "10.0.0.1") || !strings.Contains(out.String(), "1970-01-01T00:00:00") {
			t.Errorf("%s: %s", name, out.String())
		}
	}
}
