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
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("config"); tag != "" && isSection(v.Field(i)) {
			l.validate(v.Field(i), join(section, tag))
		}
	}
}

// addErrors adds the errors that Validate returned, with key, value and source.
func (l *loader) addErrors(section string, err error) {
	if err == nil {
		return
	}
	if joined, ok := any(err).(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			l.addErrors(section, one)
		}
		return
	}
	var bad *invalid
	if !errors.As(err, &bad) {
		l.errs = append(l.errs, errors.New(redact(err.Error())))
		return
	}
	key := join(section, bad.key)
	for _, s := range l.settings {
		if s.key == key {
			l.addError(s, bad.problem)
			return
		}
	}
	l.errs = append(l.errs, fmt.Errorf("%s: %s", key, redact(bad.problem)))
}

// addError adds an error about s, unless its value could not be converted.
func (l *loader) addError(s setting, problem string) {
	for _, err := range l.errs {
		if earlier, ok := errors.AsType[*settingError](err); ok && earlier.setting.key == s.key {
			return
		}
	}
	source := l.sources[s.key]
	if source == "" {
		source = "default"
	}
	l.errs = append(l.errs, &settingError{setting: s, raw: s.value.Interface(), source: source, problem: problem})
}
