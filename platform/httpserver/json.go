package httpserver

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

const maxDepth = 32

// ReadJSON reads the request's body, one JSON value of at most limit bytes,
// into the struct that into points to. It is strict: the error is a Refuse with
// 415 for another content type than application/json or one of alsoAccept
// (charset UTF-8), 413 for a longer body, and 400 for anything that is not
// exactly what into describes: not JSON or not UTF-8, an unknown, duplicate or
// differently cased key, more than 32 levels, something after the value, a
// value of the wrong type (null included, unless the field is a pointer, a map,
// an interface or reads JSON itself).
func ReadJSON(w http.ResponseWriter, r *http.Request, limit int64, into any, alsoAccept ...string) error {
	if err := checkContentType(r.Header, append([]string{"application/json"}, alsoAccept...)); err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return Refuse(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", limit)
	case err != nil:
		return Refuse(http.StatusBadRequest, "the body could not be read to its end")
	}
	return decodeStrict(body, into)
}

func checkContentType(h http.Header, accepted []string) error {
	refused := Refuse(http.StatusUnsupportedMediaType, "the body must be sent with Content-Type: %s, in UTF-8 and not compressed", strings.Join(accepted, " or "))
	given := h.Values("Content-Type")
	if len(given) != 1 || h.Get("Content-Encoding") != "" {
		return refused
	}
	mediaType, params, err := mime.ParseMediaType(given[0])
	if err != nil || !slices.Contains(accepted, mediaType) {
		return refused
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return refused
	}
	return nil
}

func decodeStrict(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return unreadable("the body is empty; send a JSON object")
	}
	if !utf8.Valid(body) || halfSurrogate(body) {
		return unreadable("the body is not valid UTF-8")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return unreadable("the body is not JSON: %s", err)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := checkValue(dec, reflect.TypeOf(into).Elem(), "", 0); err != nil {
		return err
	}
	err := json.Unmarshal(body, into)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return unreadable("%s must be %s, not %s", named(wrong.Field), wordFor(wrong.Type), wrong.Value)
	}
	if err != nil {
		return unreadable("the body has a value that cannot be read")
	}
	return nil
}

func unreadable(format string, args ...any) error {
	return Refuse(http.StatusBadRequest, format, args...)
}

func named(path string) string {
	if path == "" {
		return "the body"
	}
	return path
}

// checkValue walks over the next value, which is to fill a t (nil where anything
// may come), and refuses what encoding/json would let pass.
func checkValue(dec *json.Decoder, t reflect.Type, path string, depth int) error {
	if t != nil && readsItself(t) {
		t = nil
	}
	token, err := dec.Token()
	if err != nil {
		return unreadable("the body is not JSON: %s", err)
	}
	if token == nil && t != nil && !slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Interface, reflect.Map}, t.Kind()) {
		return unreadable("%s must be %s, not null", named(path), wordFor(t))
	}
	if t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth++; depth > maxDepth {
		return unreadable("the body is nested deeper than %d levels", maxDepth)
	}
	seen := map[string]bool{}
	for i := 0; dec.More(); i++ {
		element, at := elementType(t), fmt.Sprintf("%s[%d]", path, i)
		if delim == '{' {
			key, _ := dec.Token()
			name, _ := key.(string)
			at = strings.TrimPrefix(path+"."+name, ".")
			if seen[name] {
				return unreadable("the key %q appears twice", at)
			}
			seen[name] = true
			if element, ok = memberType(t, name); !ok {
				return unreadable("there is no key %q", at)
			}
		}
		if err := checkValue(dec, element, at, depth); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the closing bracket: the syntax was checked before
	return err
}

// readsItself tells types whose own methods read their JSON.
func readsItself(t reflect.Type) bool {
	for _, own := range []reflect.Type{reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()} {
		if t.Implements(own) || reflect.PointerTo(t).Implements(own) {
			return true
		}
	}
	return false
}

// elementType is the type of a list's elements or a map's values, nil for any.
func elementType(t reflect.Type) reflect.Type {
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map) {
		return t.Elem()
	}
	return nil
}

// memberType is the type of the member called exactly name, nil for any.
func memberType(t reflect.Type, name string) (reflect.Type, bool) {
	if t == nil || t.Kind() != reflect.Struct {
		return elementType(t), true
	}
	for _, f := range reflect.VisibleFields(t) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key == "" && !f.Anonymous {
			key = f.Name
		}
		if f.IsExported() && key != "" && key != "-" && key == name {
			return f.Type, true
		}
	}
	return nil, false
}

// wordFor names in the client's words what a t is written as.
func wordFor(t reflect.Type) string {
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

// halfSurrogate finds a \u escape that is half of a character, which
// encoding/json would replace silently.
func halfSurrogate(body []byte) bool {
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
