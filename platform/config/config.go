// Package config is a strict loader of settings: it fills a struct from its defaults, a YAML file and the
// environment. Unknown keys and invalid values are errors, and all errors are reported at once.
package config

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// Load fills into, a pointer to a struct with the defaults, from file (YAML; "" for none) and then from environ (as
// from os.Environ). A field tagged `config:"requests"` in a section tagged `config:"rate_limit"` is the key
// rate_limit.requests and the variable RATE_LIMIT_REQUESTS. An empty variable counts as unset. A
// variable with quotes or white space around its value is an error. Fields may be string, bool, int,
// float64, time.Duration, Secret, an encoding.TextUnmarshaler, or a slice of these (comma-separated in
// the environment). For a Secret, the variable may instead be REDIS_PASSWORD_FILE with the path of a file
// of at most 64 kB; a line break at its end is no part of the value.
//
// A field of type struct{} tagged `config:"*"` stands for all other settings, which are not read.
//
// Then Load calls the method Validate() error of each struct that has one. The error joins one error for
// each unknown key and invalid value, with the key, the value (but no Secret, and no password in an
// address) and the source. Each Sources knows the sources then.
func Load(into any, file string, environ []string) error {
	root := reflect.ValueOf(into).Elem()
	l := loader{settings: settings(root, ""), file: file}
	for field := range root.Fields() {
		l.ignoresOthers = l.ignoresOthers || field.Tag.Get("config") == othersTag
	}
	if err := l.readFile(); err != nil {
		return fmt.Errorf("file %s: %w", file, err)
	}
	l.readEnvironment(environ)
	for _, s := range l.settings {
		if err := s.decode(); err != nil {
			l.reject(s, err.Error())
		}
	}
	l.validate(root, "")
	l.fillSources(root, "")
	return errors.Join(l.errs...)
}

// othersTag is the tag of a field that stands for the settings of others.
const othersTag = "*"

type loader struct {
	settings      []*setting
	file          string
	ignoresOthers bool // an unknown key of the file is no error
	errs          []error
}

// setting returns the setting with the key, or nil.
func (l *loader) setting(key string) *setting {
	i := slices.IndexFunc(l.settings, func(s *setting) bool { return s.key == key })
	if i < 0 {
		return nil
	}
	return l.settings[i]
}

func (l *loader) readFile() error {
	if l.file == "" {
		return nil
	}
	file := viper.New()
	file.SetConfigFile(l.file)
	file.SetConfigType("yaml")
	if err := file.ReadInConfig(); err != nil {
		return err
	}
	for _, s := range l.settings {
		if value := file.Get(s.key); value != nil {
			s.raw, s.source = value, "file "+l.file
		}
	}
	if l.ignoresOthers {
		return nil
	}
	for _, key := range slices.Sorted(slices.Values(file.AllKeys())) {
		value := file.Get(key)
		isSection := func(s *setting) bool { return strings.HasPrefix(s.key, key+".") }
		if l.setting(key) == nil && (value != nil || !slices.ContainsFunc(l.settings, isSection)) {
			l.errs = append(l.errs, l.unknown(key, fmt.Sprint(value)))
		}
	}
	return nil
}

// credential matches an unknown key or its value that may be a misspelled secret and must not be shown.
var credential = regexp.MustCompile(`(?i)dsn|` + secretNames)

func (l *loader) unknown(key, value string) error {
	shown := fmt.Sprintf("%q", value)
	if credential.MatchString(key+" "+value) || redact(value) != value {
		shown = redacted
	}
	return fmt.Errorf("%s: %s from file %s: there is no such setting: correct the key, or remove it; config.example.yaml has every setting", key, shown, l.file)
}

func (l *loader) readEnvironment(environ []string) {
	variables := map[string]string{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		variables[name] = value
	}
	for _, s := range l.settings {
		value, path := variables[s.env()], variables[s.env()+fileSuffix]
		switch {
		case path != "" && s.isSecret():
			s.readSecretFile(path)
			if value != "" {
				s.problem = fmt.Errorf("is set, and so is %s: unset one of them", s.env())
			}
		case value != "":
			s.raw, s.source = value, s.envSource()
		}
	}
}

// Invalid returns an error of a Validate method about the setting key, which is relative to the struct. Load adds the
// section, the value and the source. Join several errors with errors.Join.
func Invalid(key, format string, args ...any) error {
	return &invalid{key: key, problem: fmt.Sprintf(format, args...)}
}

type invalid struct{ key, problem string }

func (e *invalid) Error() string { return e.key + ": " + e.problem }

// validate calls Validate of the struct v and of its sections. Validate of an embedded struct is promoted to its
// parent.
func (l *loader) validate(v reflect.Value, section string) {
	if validator, ok := v.Addr().Interface().(interface{ Validate() error }); ok {
		l.addErrors(section, validator.Validate())
	}
	for field, value := range v.Fields() {
		if tag := field.Tag.Get("config"); tag != "" && isSection(value) {
			l.validate(value, join(section, tag))
		}
	}
}

// fillSources stores the sources of the settings in each Sources of the struct v and of its sections.
func (l *loader) fillSources(v reflect.Value, section string) {
	sources := map[string]string{}
	for _, s := range l.settings {
		sources[s.key] = s.source
	}
	for field, value := range v.Fields() {
		tag := field.Tag.Get("config")
		switch {
		case value.Type() == reflect.TypeFor[Sources]():
			value.Set(reflect.ValueOf(Sources{Section: section, byKey: &sources}))
		case isSection(value) && tag != "":
			l.fillSources(value, join(section, tag))
		case isSection(value) && field.Anonymous:
			l.fillSources(value, section)
		}
	}
}

func (l *loader) addErrors(section string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			l.addErrors(section, one)
		}
		return
	}
	var bad *invalid
	switch {
	case err == nil:
	case !errors.As(err, &bad):
		l.errs = append(l.errs, errors.New(redact(err.Error())))
	default:
		key := join(section, bad.key)
		if s := l.setting(key); s == nil {
			l.errs = append(l.errs, fmt.Errorf("%s: %s", key, redact(bad.problem)))
		} else {
			l.reject(s, bad.problem)
		}
	}
}

// reject adds an error about the setting's value, without credentials, unless it has one already.
func (l *loader) reject(s *setting, problem string) {
	if s.rejected {
		return
	}
	s.rejected = true
	shown := redacted
	if !s.isSecret() {
		shown = fmt.Sprintf("%q", redact(fmt.Sprint(s.raw)))
	}
	source := s.source
	if source == sourceDefault {
		source += " (variable " + s.env() + ")"
	}
	l.errs = append(l.errs, fmt.Errorf("%s: %s from %s: %s", s.key, shown, source, redact(problem)))
}

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
