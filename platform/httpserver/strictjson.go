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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/todo/platform/apperr"
)

const maxJSONDepth = 32 // levels of nesting; the requests of an API have a few

// ReadJSON decodes the body of r, one JSON object of at most limit bytes, strictly into the
// struct that into points to. The errors are for WriteProblem:
//
//	415   the content type is neither application/json nor one of alsoAccept, has a charset
//	      other than UTF-8, or a content coding other than identity
//	413   the body is longer; its rest is not read, and the connection is closed
//	400   not one JSON object in UTF-8; a key that is unknown, duplicate or in another case;
//	      more than 32 levels; the body arrived too late
//	422   apperr.InvalidFields: a value has the wrong type. That includes null, unless the
//	      field is a pointer, a map, an interface or a json.Unmarshaler
//
// Only the members of the object itself are checked for case and null: nested objects
// follow encoding/json in that.
func ReadJSON(w http.ResponseWriter, r *http.Request, limit int64, into any, alsoAccept ...string) error {
	body, err := readBody(w, r, limit, append([]string{"application/json"}, alsoAccept...))
	if err != nil {
		if r.ContentLength < 0 || r.ContentLength > limit {
			// Otherwise net/http reads the rest of the body before it sends the response.
			w.Header().Set("Connection", "close")
		}
		return err
	}
	return decodeStrict(body, into)
}

func readBody(w http.ResponseWriter, r *http.Request, limit int64, accepted []string) ([]byte, error) {
	if !isAcceptedBody(r.Header, accepted) {
		return nil, StatusError(http.StatusUnsupportedMediaType, "the body must be sent with Content-Type: %s, in UTF-8 and not compressed", strings.Join(accepted, " or "))
	}
	if r.ContentLength > limit {
		return nil, tooLargeError(limit)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, tooLargeError(limit)
	case err != nil:
		return nil, badRequest("the body could not be read to its end")
	case r.Context().Err() != nil:
		// Every later step would fail with 503, although the client caused it.
		return nil, badRequest("the body came so slowly that no time was left for the request")
	}
	return body, nil
}

func tooLargeError(limit int64) error {
	return StatusError(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", limit)
}

// isAcceptedBody reports whether the body has one of the accepted media types, in UTF-8 and
// without a content coding.
func isAcceptedBody(h http.Header, accepted []string) bool {
	mediaType, params, err := mime.ParseMediaType(strings.Join(h.Values("Content-Type"), ", "))
	charset := strings.ToLower(cmp.Or(params["charset"], "utf-8"))
	coding := strings.ToLower(cmp.Or(strings.Join(h.Values("Content-Encoding"), ", "), "identity"))
	return err == nil && slices.Contains(accepted, mediaType) &&
		(charset == "utf-8" || charset == "utf8") && coding == "identity"
}

func decodeStrict(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return badRequest("the body is empty; send a JSON object")
	}
	if bytes.HasPrefix(body, []byte("\ufeff")) {
		return badRequest("the body begins with a byte order mark; send it without one")
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
	if err := checkNesting(walk, 0); err != nil {
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

// explainDecodeError translates an error of encoding/json for the client.
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

// checkNesting reads the next value, at the given depth. It returns an error for too many
// levels or a duplicate key; encoding/json would use the last of the duplicates.
func checkNesting(dec *json.Decoder, depth int) error {
	token, err := dec.Token()
	opening, ok := token.(json.Delim)
	if err != nil || !ok {
		return err // always nil: the syntax was checked before
	}
	if depth == maxJSONDepth {
		return badRequest("the body is nested deeper than %d levels", maxJSONDepth)
	}
	seen := map[json.Token]bool{}
	for dec.More() {
		if opening == '{' {
			key, _ := dec.Token()
			if seen[key] {
				return badRequest("the key %.100q appears twice", key)
			}
			seen[key] = true
		}
		if err := checkNesting(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the closing bracket
	return err
}

// checkMembers returns an error for a key that differs in case from the fields of the
// struct t, and for null in a field that does not accept it. encoding/json ignores both.
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
	return slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Interface, reflect.Map}, t.Kind()) ||
		reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}

// jsonTypeName returns the name, for the client, of the JSON values that fit t.
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

var (
	// pairedEscapes are the escapes of surrogate pairs, and escaped backslashes, which begin no escape.
	pairedEscapes = regexp.MustCompile(`(?i)\\\\|\\ud[89ab]..\\ud[c-f]`)
	surrogates    = regexp.MustCompile(`(?i)\\ud[89a-f]`)
)

// hasLoneSurrogate reports whether body has a \u escape that is one half of a surrogate
// pair. encoding/json would replace it silently.
func hasLoneSurrogate(body []byte) bool {
	return surrogates.Match(body) && surrogates.Match(pairedEscapes.ReplaceAll(body, nil))
}
