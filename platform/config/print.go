package config

import (
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Print writes the settings in cfg, a struct or a pointer to one, as YAML with the environment variable of each.
// Of a Secret it shows only whether it is set. It hides passwords in addresses.
func Print(w io.Writer, cfg any) error {
	document := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range settings(reflect.Indirect(reflect.ValueOf(cfg)), "") {
		value := &yaml.Node{}
		if err := value.Encode(s.raw); err != nil {
			return err
		}
		if s.raw == Secret("") {
			value.SetString("")
		}
		if value.Kind == yaml.SequenceNode {
			value.Style = yaml.FlowStyle
		}
		for _, scalar := range append(value.Content, value) {
			if shown := redact(scalar.Value); shown != scalar.Value {
				scalar.SetString(shown)
			}
		}
		value.LineComment = s.env()
		insertNode(document, s.key, value)
	}
	return yaml.NewEncoder(w).Encode(document)
}

// insertNode appends value to the section of the key, which is the last one or a new one.
func insertNode(mapping *yaml.Node, key string, value *yaml.Node) {
	name, rest, inSection := strings.Cut(key, ".")
	if last := len(mapping.Content) - 1; inSection && last > 0 && mapping.Content[last-1].Value == name {
		insertNode(mapping.Content[last], rest, value)
		return
	}
	if inSection {
		section := &yaml.Node{Kind: yaml.MappingNode}
		insertNode(section, rest, value)
		value = section
	}
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, value)
}
