package event

import "encoding/json"

// Members shows what an object is split into, as encoding/json would.
func Members(text []byte) (map[string]json.RawMessage, bool) {
	found, ok := splitObject(text)
	if !ok {
		return nil, false
	}
	fields := map[string]json.RawMessage{}
	for _, m := range found {
		fields[string(m.name)] = m.value
	}
	return fields, true
}
