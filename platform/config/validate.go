package config

import (
	"errors"
	"fmt"
	"reflect"
)

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

// addErrors adds the errors that Validate returned, with key, value and source.
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
	if s.value.Type() != reflect.TypeFor[Secret]() {
		shown = fmt.Sprintf("%q", redact(fmt.Sprint(s.raw)))
	}
	l.errs = append(l.errs, fmt.Errorf("%s: %s from %s: %s", s.key, shown, s.source, redact(problem)))
}
