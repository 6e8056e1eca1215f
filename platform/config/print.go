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
	root := reflect.Indirect(reflect.ValueOf(cfg))
	document := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range settings(root, "") {
		value := &yaml.Node{}
		if err := value.Encode(s.value.Interface()); err != nil {
			return err
		}
		if s.value.Type() == reflect.TypeFor[Secret]() && s.value.Len() == 0 {
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
		insertNode(document, strings.Split(s.key, "."), value)
	}
	return yaml.NewEncoder(w).Encode(document)
}

// insertNode inserts value at path and creates missing sections.
func insertNode(mapping *yaml.Node, path []string, value *yaml.Node) {
	if len(path) > 1 {
		section := findNode(mapping, path[0])
		if section == nil {
			section = &yaml.Node{Kind: yaml.MappingNode}
			insertNode(mapping, path[:1], section)
		}
		insertNode(section, path[1:], value)
		return
	}
	key := &yaml.Node{}
	key.SetString(path[0])
	mapping.Content = append(mapping.Content, key, value)
}

func findNode(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}
