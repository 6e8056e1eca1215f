package event

import (
	"bytes"
	"encoding/json"
)

// members are the members of a JSON object in the order of the text.
type members []member

// member is a name, without quotes and escapes, and the text of its value.
type member struct{ name, value []byte }

// lookup returns the last value with exactly that name; false without one, or for null.
func (m members) lookup(name string) ([]byte, bool) {
	// Decoding into a struct would also accept a name in other letter case.
	for i := len(m) - 1; i >= 0; i-- {
		if string(m[i].name) == name {
			return m[i].value, string(m[i].value) != "null"
		}
	}
	return nil, false
}

// splitObject returns the members of a JSON object without decoding their values; nil for
// another JSON value. The text must be valid JSON. It is hand-written because the
// speed of a consumer depends on it.
func splitObject(text []byte) members {
	text = trimSpace(text)
	if text[0] != '{' {
		return nil
	}
	found := make(members, 0, 8)
	for text = trimSpace(text[1:]); text[0] != '}'; {
		end := valueLength(text)
		name := text[:end]
		text = trimSpace(trimSpace(text[end:])[1:]) // after the colon
		end = valueLength(text)
		found = append(found, member{name: unquote(name), value: text[:end]})
		if text = trimSpace(text[end:]); text[0] == ',' {
			text = trimSpace(text[1:])
		}
	}
	return found
}

// trimSpace is four times as fast as bytes.TrimLeft when there is nothing to trim.
func trimSpace(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t' || text[0] == '\r' || text[0] == '\n') {
		text = text[1:]
	}
	return text
}

// valueLength returns the length of the JSON value at the start of the text.
func valueLength(text []byte) int {
	switch text[0] {
	case '"':
		for i := 1; ; i++ {
			switch text[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
	case '{', '[':
		for i, depth := 0, 0; ; i++ {
			switch text[i] {
			case '"':
				i += valueLength(text[i:]) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	default: // a number, true, false or null
		if end := bytes.IndexAny(text, ",]} \t\r\n"); end >= 0 {
			return end
		}
		return len(text)
	}
}

// unquote returns the value of a JSON string.
func unquote(literal []byte) []byte {
	if bytes.IndexByte(literal, '\\') < 0 {
		return literal[1 : len(literal)-1]
	}
	var resolved string
	_ = json.Unmarshal(literal, &resolved) // a valid string
	return []byte(resolved)
}
