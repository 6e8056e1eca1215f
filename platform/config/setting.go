package config

import (
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// setting is a leaf of the settings struct.
type setting struct {
	key   string // as in the file: rate_limit.requests
	value reflect.Value
}

// env returns the setting's environment variable: RATE_LIMIT_REQUESTS.
func (s setting) env() string {
	return strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// envSource returns the setting's source if its variable is set.
func (s setting) envSource() string { return "environment " + s.env() }

// checkWrapping returns an error if raw is from an environment variable and has quotes or white space around it.
func (s setting) checkWrapping(raw any, source string) error {
	// Readers of env files and of secret files may leave quotes, a \r or a \n around a value. A value that needs
	// them, such as a password in quotes, can be set in the settings file.
	text, ok := raw.(string)
	if !ok || source != s.envSource() {
		return nil
	}
	if strings.TrimSpace(text) != text {
		return errors.New("has blanks or a line break at an end, which are part of the value: set it without them")
	}
	if last := len(text) - 1; last > 0 && text[0] == text[last] && strings.ContainsRune("\"'`", rune(text[0])) {
		return errors.New("is in quotes, which are part of the value: set it without them")
	}
	return nil
}

// format returns v, a value of the setting, for messages and without credentials.
func (s setting) format(v any) string {
	if s.value.Type() == reflect.TypeFor[Secret]() {
		return redacted
	}
	return fmt.Sprintf("%q", redact(fmt.Sprint(v)))
}

// settings returns the leaves of the struct v in order. The fields of an embedded struct without a tag are fields of
// v.
func settings(v reflect.Value, section string) []setting {
	var all []setting
	for i := range v.NumField() {
		f := v.Type().Field(i)
		tag := f.Tag.Get("config")
		switch {
		case tag == "" && f.Anonymous:
			all = append(all, settings(v.Field(i), section)...)
		case tag == "":
		case isSection(v.Field(i)):
			all = append(all, settings(v.Field(i), join(section, tag))...)
		default:
			all = append(all, setting{join(section, tag), v.Field(i)})
		}
	}
	return all
}

// isSection reports whether v is a struct of settings, and not one value such as a netip.Prefix.
func isSection(v reflect.Value) bool {
	return v.Kind() == reflect.Struct && !reflect.PointerTo(v.Type()).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func join(section, key string) string {
	if section == "" {
		return key
	}
	return section + "." + key
}

// assign converts raw, a string from the environment or a value decoded from YAML, and stores it in dst. Its error
// says which values are valid.
func assign(dst reflect.Value, raw any) error {
	text := fmt.Sprint(raw)
	if u, ok := dst.Addr().Interface().(encoding.TextUnmarshaler); ok {
		err := u.UnmarshalText([]byte(text))
		if what, ok := expectations[dst.Type()]; ok && err != nil {
			return errors.New(what)
		}
		return err
	}
	switch dst.Kind() {
	case reflect.String:
		if _, ok := raw.(string); !ok {
			return errors.New("must be text: put it in quotes")
		}
		dst.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("must be true or false")
		}
		dst.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return assignInt(dst, text)
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return errors.New("must be a number")
		}
		dst.SetFloat(f)
	case reflect.Slice:
		return assignList(dst, raw)
	default:
		return fmt.Errorf("has the type %s, which no setting can have", dst.Type())
	}
	return nil
}

// expectations describes the valid values of types whose errors do not.
var expectations = map[reflect.Type]string{
	reflect.TypeFor[slog.Level]():   "must be DEBUG, INFO, WARN or ERROR",
	reflect.TypeFor[netip.Prefix](): "must be a network, such as 10.0.0.0/8 or, for one address, 10.1.2.3/32",
}

func assignInt(dst reflect.Value, text string) error {
	if dst.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("must be a duration with its unit, such as 250ms or 1m30s")
		}
		dst.SetInt(int64(d))
		return nil
	}
	n, err := strconv.ParseInt(text, 10, dst.Type().Bits())
	if errors.Is(err, strconv.ErrRange) {
		return errors.New("is out of range")
	}
	if err != nil {
		return errors.New("must be a whole number")
	}
	dst.SetInt(n)
	return nil
}

// assignList accepts a YAML list, or comma-separated text.
func assignList(dst reflect.Value, raw any) error {
	var items []any
	switch raw := raw.(type) {
	case []any:
		items = raw
	case string:
		for item := range strings.SplitSeq(raw, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
	default:
		return errors.New("must be a list")
	}
	list := reflect.MakeSlice(dst.Type(), len(items), len(items))
	for i, item := range items {
		if err := assign(list.Index(i), item); err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	dst.Set(list)
	return nil
}
