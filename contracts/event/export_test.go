package event

import "encoding/json"

// Members returns the result of splitObject as a map, like encoding/json.
func Members(text []byte) (map[string]json.RawMessage, bool) {
	found := splitObject(text)
	if found == nil {
		return nil, false
	}
	fields := map[string]json.RawMessage{}
	for _, m := range found {
		fields[string(m.name)] = m.value
	}
	return fields, true
}
