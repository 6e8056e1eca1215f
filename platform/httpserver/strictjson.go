package httpserver

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/todo/platform/apperr"
)

const maxJSONDepth = 32

// ReadJSON reads the request's body, one JSON object of at most limit bytes,
// into the struct that into points to. It is strict: the error is a Refuse with
// 415 for another content type than application/json or one of alsoAccept
// (charset UTF-8 or none, no content coding but identity), 413 for a longer body, of which the rest is not read, and 400
// for anything that is not an object as into describes: not JSON or not UTF-8, an
// unknown, duplicate or differently cased key, more than 32 levels, something
// after the object. A value of the wrong type (null included, unless the field is
// a pointer, a map, an interface or reads JSON itself) is fault.InvalidFields. The
// struct is meant to be flat: within its fields, case and null are as
// encoding/json takes them.
func ReadJSON(w http.ResponseWriter, r *http.Request, limit int64, into any, alsoAccept ...string) error {
	body, err := readBody(w, r, limit, append([]string{"application/json"}, alsoAccept...))
	if err != nil {
		if r.ContentLength < 0 || r.ContentLength > limit {
			w.Header().Set("Connection", "close") // or the server would wait for the rest before it answers
		}
		return err
	}
	return decodeStrict(body, into)
}

func readBody(w http.ResponseWriter, r *http.Request, limit int64, accepted []string) ([]byte, error) {
	if err := checkContentType(r.Header, accepted); err != nil {
		return nil, err
	}
	tooLarge := StatusError(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", limit)
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, tooLarge
	case err != nil:
		return nil, StatusError(http.StatusBadRequest, "the body could not be read to its end")
	case r.Context().Err() != nil: // no fault of the server's, which a later refusal would look like
		return nil, StatusError(http.StatusBadRequest, "the body came so slowly that no time was left for the request")
	}
	return body, nil
}

func checkContentType(h http.Header, accepted []string) error {
	refused := StatusError(http.StatusUnsupportedMediaType, "the body must be sent with Content-Type: %s, in UTF-8 and not compressed", strings.Join(accepted, " or "))
	given := h.Values("Content-Type")
	if len(given) != 1 || hasContentCoding(h) {
		return refused
	}
	mediaType, params, err := mime.ParseMediaType(given[0])
	if err != nil || !slices.Contains(accepted, mediaType) {
		return refused
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return refused
	}
	return nil
}

// hasContentCoding reports whether the body has another content coding than identity.
func hasContentCoding(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Content-Encoding"), ","), ",") {
		if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
			return true
		}
	}
	return false
}

// byteOrderMarks are those of UTF-8, UTF-16 and UTF-32; the little end of UTF-32 begins as that of UTF-16.
var byteOrderMarks = []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff", "\x00\x00\xfe\xff"}

func decodeStrict(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return badRequest("the body is empty; send a JSON object")
	}
	for _, mark := range byteOrderMarks {
		if bytes.HasPrefix(body, []byte(mark)) {
			return badRequest("the body begins with a byte order mark; send it in UTF-8 without one")
		}
	}
	if !utf8.Valid(body) || hasLoneSurrogate(body) {
		return badRequest("the body is not valid UTF-8")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return explainDecodeError(err)
	}
	walk := json.NewDecoder(bytes.NewReader(body))
	walk.UseNumber()
	if err := checkNesting(walk, func() string { return "" }, 0); err != nil {
		return err
	}
	if err := checkMembers(members, reflect.TypeOf(into).Elem()); err != nil {
		return err
	}
	strict := json.NewDecoder(bytes.NewReader(body))
	strict.DisallowUnknownFields()
	if err := strict.Decode(into); err != nil {
		return explainDecodeError(err)
	}
	return nil
}

func badRequest(format string, args ...any) error {
	return StatusError(http.StatusBadRequest, format, args...)
}

func wrongTypeError(field string, want reflect.Type, got string) error {
	return apperr.InvalidFields(apperr.Field{Name: field, Problem: fmt.Sprintf("must be %s, not %.100s", jsonTypeName(want), got)})
}

// explainDecodeError tells the client what encoding/json found wrong.
func explainDecodeError(err error) error {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	unknown, isUnknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case errors.As(err, &syntax):
		return badRequest("the body is not JSON: %s", syntax)
	case errors.As(err, &wrong) && wrong.Field == "":
		return badRequest("the body must be %s, not %s", jsonTypeName(wrong.Type), wrong.Value)
	case errors.As(err, &wrong):
		return wrongTypeError(wrong.Field, wrong.Type, wrong.Value)
	case isUnknown:
		name, _ := strconv.Unquote(unknown)
		return badRequest("there is no key %.100q", name)
	}
	return badRequest("the body has a value that cannot be read")
}

// checkNesting walks over the next value, which is at path within depth others,
// and refuses too many levels and duplicate keys, of which encoding/json takes
// the last. Paths are only put together for a refusal: a long key above many short
// ones would make them take a thousand times the memory of the body.
func checkNesting(dec *json.Decoder, path func() string, depth int) error {
	token, err := dec.Token()
	opening, ok := token.(json.Delim)
	if err != nil || !ok {
		return err // none: the syntax was checked before
	}
	if depth == maxJSONDepth {
		return badRequest("the body is nested deeper than %d levels", maxJSONDepth)
	}
	seen := map[string]bool{}
	for i := 0; dec.More(); i++ {
		at := func() string { return fmt.Sprintf("%s[%d]", path(), i) }
		if opening == '{' {
			token, _ := dec.Token()
			key, _ := token.(string)
			at = func() string { return strings.TrimPrefix(path()+"."+key, ".") }
			if seen[key] {
				return badRequest("the key %.100q appears twice", at())
			}
			seen[key] = true
		}
		if err := checkNesting(dec, at, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the closing bracket
	return err
}

// checkMembers refuses keys that are not exactly those of the struct t, whose
// case encoding/json ignores, and null, which it ignores too, where the field
// has no use for it.
func checkMembers(members map[string]json.RawMessage, t reflect.Type) error {
	if members == nil {
		return badRequest("the body must be an object, not null")
	}
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[cmp.Or(name, f.Name)] = f.Type
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		field, ok := fields[name]
		if !ok {
			return badRequest("there is no key %.100q", name)
		}
		if string(members[name]) == "null" && !acceptsNull(field) {
			return wrongTypeError(name, field, "null")
		}
	}
	return nil
}

func acceptsNull(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map:
		return true
	}
	return reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}

// jsonTypeName names in the client's words what a t is written as.
func jsonTypeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "a list"
	}
	return "a whole number in range"
}

// hasLoneSurrogate finds a \u escape that is half of a character, which
// encoding/json would replace silently.
func hasLoneSurrogate(body []byte) bool {
	high := false // the escape just before was a first half
	for i := 0; i < len(body); i++ {
		escaped := body[i] == '\\' && i+1 < len(body)
		isHigh, isLow := false, false
		if escaped && body[i+1] == 'u' && i+5 < len(body) {
			class := strings.ToLower(string(body[i+2 : i+4]))
			isHigh = class >= "d8" && class <= "db"
			isLow = class >= "dc" && class <= "df"
		}
		if high != isLow {
			return true
		}
		high = isHigh
		switch {
		case isHigh || isLow:
			i += 5
		case escaped:
			i++
		}
	}
	return high
}
