package event

import (
	"bytes"
	"encoding/json"
)

// members are an object's, in the order of the text.
type members []member

// member is a name and its value, both as in the text; in the name escapes are resolved.
type member struct{ name, value []byte }

// lookup returns the last value of exactly that name, for encoding/json would
// take one in other capitals too; false when there is none, or null.
func (m members) lookup(name string) ([]byte, bool) {
	for i := len(m) - 1; i >= 0; i-- {
		if string(m[i].name) == name {
			return m[i].value, string(m[i].value) != "null"
		}
	}
	return nil, false
}

// splitObject splits an object into its members, without another look into their
// values: a consumer's speed is that of this. The text must be valid JSON. It is
// false when the text is not an object.
func splitObject(text []byte) (found members, ok bool) {
	text = trimSpace(text)
	if text[0] != '{' {
		return nil, false
	}
	found = make(members, 0, 8)
	for text = trimSpace(text[1:]); text[0] != '}'; {
		end := valueLength(text)
		name := text[:end]
		text = trimSpace(trimSpace(text[end:])[1:]) // past the colon
		end = valueLength(text)
		found = append(found, member{name: unquote(name), value: text[:end]})
		if text = trimSpace(text[end:]); text[0] == ',' {
			text = trimSpace(text[1:])
		}
	}
	return found, true
}

// trimSpace is bytes.TrimLeft, which takes four times as long where there is nothing to trim.
func trimSpace(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t' || text[0] == '\r' || text[0] == '\n') {
		text = text[1:]
	}
	return text
}

// valueLength returns how long the value is that the text begins with.
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

// unquote returns the text of a JSON string.
func unquote(literal []byte) []byte {
	if bytes.IndexByte(literal, '\\') < 0 {
		return literal[1 : len(literal)-1]
	}
	var resolved string
	_ = json.Unmarshal(literal, &resolved) // a valid string
	return []byte(resolved)
}
