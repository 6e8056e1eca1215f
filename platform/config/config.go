// Package config is a strict loader of settings: it fills a struct from its defaults, a YAML file and the
// environment. Unknown keys and invalid values are errors, and all errors are reported at once.
package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/viper"
)

// Load fills into, a pointer to a struct with the defaults, from file (YAML; "" for none) and then from environ (as
// from os.Environ). A field tagged `config:"requests"` in a section tagged `config:"rate_limit"` is the key
// rate_limit.requests and the variable RATE_LIMIT_REQUESTS. An empty variable counts as unset. A
// variable with quotes or white space around its value is an error. Fields may be string, bool, int,
// float64, time.Duration, Secret, an encoding.TextUnmarshaler, or a slice of these (comma-separated in
// the environment).
//
// Then Load calls the method Validate() error of each struct that has one. The error joins one error for
// each unknown key and invalid value, with the key, the value (but no Secret, and no password in an
// address) and the source.
func Load(into any, file string, environ []string) error {
	l := loader{root: reflect.ValueOf(into).Elem(), viper: viper.New(), file: file, sources: map[string]string{}}
	l.settings = settings(l.root, "")
	if err := l.readSources(environ); err != nil {
		return err
	}
	l.findUnknown()
	l.decode()
	l.validate(l.root, "")
	return errors.Join(l.errs...)
}

type loader struct {
	root     reflect.Value
	settings []setting
	viper    *viper.Viper
	file     string
	sources  map[string]string // by key; without settings that have their default
	errs     []error
}

// readSources reads defaults, file and environment into viper, and their sources.
func (l *loader) readSources(environ []string) error {
	if l.file != "" {
		l.viper.SetConfigFile(l.file)
		l.viper.SetConfigType("yaml")
		if err := l.viper.ReadInConfig(); err != nil {
			return fmt.Errorf("file %s: %w", l.file, err)
		}
	}
	env := map[string]string{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	for _, s := range l.settings {
		l.viper.SetDefault(s.key, s.value.Interface())
		if l.viper.InConfig(s.key) {
			l.sources[s.key] = "file " + l.file
		}
		if value := env[s.env()]; value != "" {
			l.viper.Set(s.key, value)
			l.sources[s.key] = s.envSource()
		}
	}
	return nil
}

// credential matches an unknown key or its value that may be a misspelled secret and must not be shown.
var credential = regexp.MustCompile(`(?i)dsn|` + secretNames)

func (l *loader) findUnknown() {
	for _, key := range slices.Sorted(slices.Values(l.viper.AllKeys())) {
		if slices.ContainsFunc(l.settings, func(s setting) bool { return s.key == key }) {
			continue
		}
		if !l.viper.InConfig(key) && slices.ContainsFunc(l.settings, func(s setting) bool { return strings.HasPrefix(s.key, key+".") }) {
			continue // an empty section
		}
		value := fmt.Sprint(l.viper.Get(key))
		shown := fmt.Sprintf("%q", value)
		if credential.MatchString(key+" "+value) || redact(value) != value {
			shown = redacted
		}
		l.errs = append(l.errs, fmt.Errorf("%s: %s from file %s: there is no such setting", key, shown, l.file))
	}
}

func (l *loader) decode() {
	for _, s := range l.settings {
		if l.sources[s.key] == "" {
			continue
		}
		raw := l.viper.Get(s.key)
		err := s.checkWrapping(raw, l.sources[s.key])
		if err == nil {
			err = assign(s.value, raw)
		}
		if err != nil {
			l.errs = append(l.errs, &settingError{setting: s, raw: raw, source: l.sources[s.key], problem: err.Error()})
		}
	}
}

// settingError is an error about the value of a setting.
type settingError struct {
	setting setting
	raw     any
	source  string
	problem string
}

func (e *settingError) Error() string {
	return fmt.Sprintf("%s: %s from %s: %s", e.setting.key, e.setting.format(e.raw), e.source, redact(e.problem))
}
