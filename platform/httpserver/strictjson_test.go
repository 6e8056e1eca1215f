package httpserver_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/httpserver"
)

type embeddedStruct struct {
	Note string `json:"note"`
}

type nestedStruct struct {
	Tags []string `json:"tags"`
}

// optionalText distinguishes an absent member from null, as a merge patch does.
type optionalText struct {
	Present bool
	Value   *int
}

func (o *optionalText) UnmarshalJSON(data []byte) error {
	o.Present = true
	return json.Unmarshal(data, &o.Value)
}

type requestBody struct {
	embeddedStruct
	Title    string         `json:"title"`
	Priority int32          `json:"priority,omitempty"`
	Done     *bool          `json:"done"`
	Ratio    float64        `json:"ratio"`
	Due      time.Time      `json:"due"`
	Inner    nestedStruct   `json:"inner"`
	Others   []nestedStruct `json:"others"`
	Extra    map[string]any `json:"extra"`
	Patch    optionalText   `json:"patch"`
	Untagged string
	Hidden   string `json:"-"`
}

// readJSON calls ReadJSON with text and returns the status and message of its error, or 200.
func readJSON(text string, into any) (int, string) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	return statusAndMessage(httpserver.ReadJSON(httptest.NewRecorder(), r, 64<<10, into))
}

func statusAndMessage(err error) (int, string) {
	if err == nil {
		return http.StatusOK, ""
	}
	rec := httptest.NewRecorder()
	httpserver.WriteProblem(rec, httptest.NewRequest(http.MethodGet, "/", nil), err)
	var p struct{ Error string }
	_ = json.Unmarshal(rec.Body.Bytes(), &p)
	return rec.Code, p.Error
}

func nested(depth int) string {
	return `{"extra":{"a":` + strings.Repeat("[", depth-2) + strings.Repeat("]", depth-2) + `}}`
}

func TestReadJSONAcceptsWhatTheStructDescribes(t *testing.T) {
	t.Parallel()
	yes, five := true, 5
	tests := map[string]struct {
		text string
		want requestBody
	}{
		"nothing": {`{}`, requestBody{}},
		"everything": {` {"title":"Learn \ud83d\ude00 Go","priority":3,"done":true,"ratio":1,"due":"2026-01-15T10:00:00Z","note":"n",
			"inner":{"tags":["a","b"]},"others":[{"tags":["c"]}],"extra":{"Any":[1,null]},"patch":5,"Untagged":"u"} `,
			requestBody{embeddedStruct: embeddedStruct{Note: "n"}, Title: "Learn 😀 Go", Priority: 3, Done: &yes, Ratio: 1, Due: time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC),
				Inner: nestedStruct{Tags: []string{"a", "b"}}, Others: []nestedStruct{{Tags: []string{"c"}}}, Extra: map[string]any{"Any": []any{1.0, nil}},
				Patch: optionalText{Present: true, Value: &five}, Untagged: "u"}},
		"null where it means something": {`{"done":null,"extra":null,"patch":null}`, requestBody{Patch: optionalText{Present: true}}},
		"the deepest nesting":           {nested(32), requestBody{}},
		"an escaped backslash":          {`{"title":"\\ud800"}`, requestBody{Title: `\ud800`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got requestBody
			if status, message := readJSON(test.text, &got); status != 200 {
				t.Fatalf("rejected with %d %s", status, message)
			}
			if name == "the deepest nesting" {
				got.Extra = nil
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(requestBody{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadJSONRejectsOtherBodiesWithAReason(t *testing.T) {
	t.Parallel()
	long, cut := strings.Repeat("é", 101), strings.Repeat("é", 100)
	tests := map[string]struct{ text, want string }{
		"empty":                      {"  ", "the body is empty; send a JSON object"},
		"not JSON":                   {"title=x", "the body is not JSON: invalid character 'i' in literal true (expecting 'r')"},
		"cut off":                    {`{"title":"x"`, "the body is not JSON: unexpected end of JSON input"},
		"a trailing comma":           {`{"title":"x",}`, "the body is not JSON: invalid character '}' looking for beginning of object key string"},
		"a second value":             {`{} {}`, "the body is not JSON: invalid character '{' after top-level value"},
		"a byte order mark":          {"\ufeff{}", byteOrderMark},
		"a byte order mark alone":    {"\ufeff", byteOrderMark},
		"a mark before no object":    {"\ufeffnull", byteOrderMark},
		"an unknown key":             {`{"titel":"x"}`, `there is no key "titel"`},
		"an embedded struct's name":  {`{"base":{}}`, `there is no key "base"`},
		"an unknown key inside":      {`{"inner":{"x":1}}`, `there is no key "x"`},
		"an unknown key in a list":   {`{"others":[{},{"x":1}]}`, `there is no key "x"`},
		"another case":               {`{"Title":"x"}`, `there is no key "Title"`},
		"a field that is not JSON's": {`{"Hidden":"x"}`, `there is no key "Hidden"`},
		"a key that means no field":  {`{"-":"x"}`, `there is no key "-"`},
		"an empty key":               {`{"":"x"}`, `there is no key ""`},
		"a duplicate key":            {`{"title":"x","title":"y"}`, `the key "title" appears twice`},
		"a duplicate, escaped":       {`{"title":"x","\u0074itle":"y"}`, `the key "title" appears twice`},
		"a duplicate in anything":    {`{"extra":{"a":[{"b":1,"b":2}]}}`, `the key "b" appears twice`},
		"a long unknown key":         {`{"` + long + `":1}`, `there is no key "` + cut + `"`},
		"a long unknown key inside":  {`{"inner":{"` + long + `":1}}`, `there is no key "` + cut + `"`},
		"a long duplicate key":       {`{"` + long + `":1,"` + long + `":1}`, `the key "` + cut + `" appears twice`},
		"too deep":                   {nested(33), "the body is nested deeper than 32 levels"},
		"very deep":                  {strings.Repeat("[", 20000) + strings.Repeat("]", 20000), "the body is not JSON: invalid character '[' exceeded max depth"},
		"invalid UTF-8":              {"{\"title\":\"\xff\"}", "the body is not valid UTF-8"},
		"invalid UTF-8 in a key":     {"{\"\xc3\x28\":1}", "the body is not valid UTF-8"},
		"a first half alone":         {`{"title":"\ud83d"}`, "the body is not valid UTF-8"},
		"a second half alone":        {`{"title":"\uDE00"}`, "the body is not valid UTF-8"},
		"two first halves":           {`{"title":"\ud83d\ud83d\ude00"}`, "the body is not valid UTF-8"},
		"a half before a letter":     {`{"title":"\ud83dx\ude00"}`, "the body is not valid UTF-8"},
		"a list":                     {`[]`, "the body must be an object, not array"},
		"text":                       {`"x"`, "the body must be an object, not string"},
		"null":                       {`null`, "the body must be an object, not null"},
		"an invalid time":            {`{"due":"tomorrow"}`, "the body has a value that cannot be read"},
	}
	expectRejected(t, http.StatusBadRequest, tests)
}

const byteOrderMark = "the body begins with a byte order mark; send it without one"

func expectRejected(t *testing.T, status int, tests map[string]struct{ text, want string }) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, message := readJSON(test.text, &requestBody{})
			if got != status {
				t.Errorf("status %d, want %d", got, status)
			}
			if diff := cmp.Diff(test.want, message); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadJSONRejectsATooLargeBodyBeforeReadingItsEnd(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(httpserver.Instrument(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpserver.WriteProblem(w, r, httpserver.ReadJSON(w, r, 64<<10, &requestBody{}))
	}), httpserver.Config{}, newTelemetryRecorder().telemetry()))
	defer server.Close()
	chunk := strings.Repeat("x", 0xfff0)
	const tooLarge, wrongType = http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType
	for name, test := range map[string]struct {
		sent string
		want int
	}{
		"announced":                {"Content-Type: application/json\r\nContent-Length: 65537\r\n\r\n", tooLarge},
		"announced, partly sent":   {"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n" + chunk, tooLarge},
		"announced with a promise": {"Content-Type: application/json\r\nContent-Length: 65537\r\nExpect: 100-continue\r\n\r\n", tooLarge},
		"in chunks without an end": {"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("fff0\r\n"+chunk+"\r\n", 2), tooLarge},
		"announced, of no type":    {"Content-Length: 65537\r\n\r\n", wrongType},
		"in chunks, of no type":    {"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", wrongType},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+test.sent); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != test.want || !resp.Close {
				t.Errorf("%s, closes: %v, want %d and true", resp.Status, resp.Close, test.want)
			}
		})
	}
}

func TestReadJSONNamesAFieldOfTheWrongType(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"a long number":                {`{"priority":` + strings.Repeat("1", 200) + `}`, "priority must be a whole number in range, not number " + strings.Repeat("1", 93)},
		"a number for text":            {`{"title":5}`, "title must be text, not number"},
		"text for a number":            {`{"priority":"5"}`, "priority must be a whole number in range, not string"},
		"a fraction":                   {`{"priority":1.5}`, "priority must be a whole number in range, not number 1.5"},
		"out of int32":                 {`{"priority":3000000000}`, "priority must be a whole number in range, not number 3000000000"},
		"a number out of float64":      {`{"ratio":1e999}`, "ratio must be a number, not number 1e999"},
		"a number for a bool":          {`{"done":1}`, "done must be true or false, not number"},
		"null for text":                {`{"title":null}`, "title must be text, not null"},
		"null for a number":            {`{"priority":null}`, "priority must be a whole number in range, not null"},
		"a wrong type inside":          {`{"inner":{"tags":[1]}}`, "inner.tags must be text, not number"},
		"an object for a list":         {`{"others":{}}`, "others must be a list, not object"},
		"a wrong type that reads JSON": {`{"patch":"x"}`, "patch must be a whole number in range, not string"},
	}
	expectRejected(t, http.StatusUnprocessableEntity, tests)
}

func TestReadJSONBoundsTheBody(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{64 << 10: 200, 64<<10 + 1: 413, 1 << 20: 413} {
		text := `{"title":"` + strings.Repeat("x", size-12) + `"}`
		if status, message := readJSON(text, &requestBody{}); status != want {
			t.Errorf("%d bytes: %d %s", size, status, message)
		}
	}
}

// Not parallel: it measures the memory of the whole process.
func TestReadJSONUsesLittleMemoryForAnyBody(t *testing.T) {
	const size, limit = 64 << 10, 6 << 20
	underALongKey := `{"` + strings.Repeat("a", size/2) + `":{`
	for name, body := range map[string]struct{ begin, member, end string }{
		"numbers under a long key": {underALongKey, `"#":0,`, `"":0}}`},
		"objects under a long key": {underALongKey, `"#":{"a":0},`, `"":0}}`},
		"lists under a long key":   {underALongKey, `"#":[0],`, `"":0}}`},
		"a long list":              {`{"extra":[`, `0,`, `0]}`},
	} {
		text := body.begin
		for i := 0; len(text) < size-64; i++ {
			text += strings.ReplaceAll(body.member, "#", strconv.Itoa(i))
		}
		text += body.end
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		code, message := readJSON(text, &embeddedStruct{})
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; code != http.StatusBadRequest || !strings.Contains(message, "there is no key") || allocated > limit {
			t.Errorf("%s: %d %.100s, and a body of %d bytes took %d bytes of memory, want at limit %d", name, code, message, len(text), allocated, limit)
		}
	}
}

func TestReadJSONRequiresItsContentType(t *testing.T) {
	t.Parallel()
	tests := []struct {
		contentType, encoding string
		also                  []string
		want                  int
	}{
		{contentType: "application/json", want: 200},
		{contentType: "Application/JSON; Charset=UTF-8", want: 200},
		{contentType: "application/json; charset=utf8", want: 200},
		{contentType: "application/json; charset=UTF8", want: 200},
		{contentType: `application/json; charset="utf-8"`, want: 200},
		{contentType: `application/json;charset="Utf8"`, want: 200},
		{contentType: "application/merge-patch+json; charset=utf8", also: []string{"application/merge-patch+json"}, want: 200},
		{contentType: "application/json; charset=latin1", want: 415},
		{contentType: "application/json; charset=utf-16", want: 415},
		{contentType: "application/json; charset=utf--8", want: 415},
		{contentType: "application/json; charset=", want: 415},
		{contentType: "application/json; charset=utf8; charset=latin1", want: 415},
		{contentType: "", want: 415},
		{contentType: "application/x-www-form-urlencoded", want: 415},
		{contentType: "text/json", want: 415},
		{contentType: "application/json, text/plain", want: 415},
		{contentType: "application/merge-patch+json", want: 415},
		{contentType: "application/merge-patch+json", also: []string{"application/merge-patch+json"}, want: 200},
		{contentType: "application/json", also: []string{"application/merge-patch+json"}, want: 200},
		{contentType: "application/json", encoding: "identity", want: 200},
		{contentType: "application/json", encoding: "Identity", want: 200},
		{contentType: "application/json", encoding: "gzip", want: 415},
		{contentType: "application/json", encoding: "identity, gzip", want: 415},
		{contentType: "application/json", encoding: "identitygzip", want: 415},
		{contentType: "text/json", encoding: "identity", want: 415},
	}
	for _, test := range tests {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{}`))
		if test.contentType != "" {
			r.Header.Set("Content-Type", test.contentType)
		}
		if test.encoding != "" {
			r.Header.Set("Content-Encoding", test.encoding)
		}
		status, message := statusAndMessage(httpserver.ReadJSON(httptest.NewRecorder(), r, 100, &requestBody{}, test.also...))
		if status != test.want || status == 415 && !strings.Contains(message, "Content-Type: application/json") {
			t.Errorf("%+v: got %d %s", test, status, message)
		}
	}
}

// FuzzReadJSON checks that any bytes are rejected with 400, 413 or 422, or accepted also by a
// strict encoding/json, and again after a round trip.
func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"title":"x","extra":{"a":[1,{"b":null}]}}`, `{"Title":"x"}`, `{"a":1,"a":2}`, `{"":0}`, nested(33), `{"title":"\ud800"}`, "\xff", "\ufeff{}", `[1]`, `null`, `{} x`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got requestBody
		status, message := readJSON(string(data), &got)
		if status != 200 {
			if (status != 400 && status != 413 && status != 422) || message == "" {
				t.Fatalf("%q gave %d %q", data, status, message)
			}
			return
		}
		strict := json.NewDecoder(bytes.NewReader(data))
		strict.DisallowUnknownFields()
		var want requestBody
		if err := strict.Decode(&want); err != nil {
			t.Fatalf("%q was accepted, but %v", data, err)
		}
		written, err := json.Marshal(got.Extra)
		if err != nil {
			t.Fatal(err)
		}
		if status, message := readJSON(`{"extra":`+string(written)+`}`, &requestBody{}); status != 200 && len(written) < 60<<10 {
			t.Fatalf("%s was not accepted again: %s", written, message)
		}
	})
}

func TestReadJSONAnswers400WhenTheBodyArrivesTooLate(t *testing.T) {
	t.Parallel()
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	r := httptest.NewRequestWithContext(late, http.MethodPost, "/", strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	if status, text := statusAndMessage(httpserver.ReadJSON(httptest.NewRecorder(), r, 64<<10, &struct{}{})); status != http.StatusBadRequest || !strings.Contains(text, "slowly") {
		t.Errorf("got %d: %s", status, text)
	}
}
