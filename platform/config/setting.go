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
	key      string // as in the file: rate_limit.requests
	value    reflect.Value
	raw      any // a string from the environment, a value decoded from YAML, or the default
	source   string
	problem  error // of its secret file
	rejected bool
}

const sourceDefault = "default"

// settings returns the leaves of the struct v in order. The fields of an embedded struct without a tag are fields of
// v.
func settings(v reflect.Value, section string) []*setting {
	var all []*setting
	for field, value := range v.Fields() {
		tag := field.Tag.Get("config")
		switch {
		case tag == "" && field.Anonymous:
			all = append(all, settings(value, section)...)
		case tag == "":
		case isSection(value):
			all = append(all, settings(value, join(section, tag))...)
		default:
			all = append(all, &setting{key: join(section, tag), value: value, raw: value.Interface(), source: sourceDefault})
		}
	}
	return all
}

// isSection reports whether v is a struct of settings, and not one value such as a netip.Prefix.
func isSection(v reflect.Value) bool {
	return v.Kind() == reflect.Struct && !reflect.PointerTo(v.Type()).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func join(section, key string) string { return strings.TrimPrefix(section+"."+key, ".") }

// env returns the setting's environment variable: RATE_LIMIT_REQUESTS.
func (s *setting) env() string { return strings.ToUpper(strings.ReplaceAll(s.key, ".", "_")) }

// envSource returns the setting's source if its variable is set.
func (s *setting) envSource() string { return "environment " + s.env() }

func (s *setting) isSecret() bool { return s.value.Type() == reflect.TypeFor[Secret]() }

// decode stores raw in value. Its error says which values are valid.
func (s *setting) decode() error {
	switch s.source {
	case sourceDefault:
		return nil
	case s.envSource() + fileSuffix:
		if s.problem != nil {
			// A rule that demands a secret must not reject another setting, too.
			s.value.SetString(redacted)
			return s.problem
		}
		fallthrough
	case s.envSource():
		if err := checkWrapping(s.raw.(string)); err != nil {
			return err
		}
	}
	decoded := reflect.New(s.value.Type()).Elem()
	if err := assign(decoded, s.raw); err != nil {
		return err // the default stays, for the rules that compare another setting with this one
	}
	s.value.Set(decoded)
	return nil
}

// checkWrapping returns an error if the text of an environment variable has quotes or white space around it.
func checkWrapping(text string) error {
	// Readers of env files and of secret files may leave quotes, a \r or a \n around a value. A value that needs
	// them, such as a password in quotes, can be set in the settings file.
	if strings.TrimSpace(text) != text {
		return errors.New("has blanks or a line break at an end, which are part of the value: set it without them")
	}
	if last := len(text) - 1; last > 0 && text[0] == text[last] && strings.ContainsRune("\"'`", rune(text[0])) {
		return errors.New("is in quotes, which are part of the value: set it without them")
	}
	return nil
}

// expectations describes the valid values of types whose errors do not.
var expectations = map[reflect.Type]string{
	reflect.TypeFor[bool]():          "must be true or false",
	reflect.TypeFor[int]():           "must be a whole number",
	reflect.TypeFor[float64]():       "must be a number",
	reflect.TypeFor[time.Duration](): "must be a duration with its unit, such as 250ms or 1m30s",
	reflect.TypeFor[slog.Level]():    "must be DEBUG, INFO, WARN or ERROR",
	reflect.TypeFor[netip.Prefix]():  "must be a network, such as 10.0.0.0/8 or, for one address, 10.1.2.3/32",
}

func assign(dst reflect.Value, raw any) error {
	if dst.Kind() == reflect.Slice {
		return assignList(dst, raw)
	}
	if _, isText := raw.(string); dst.Kind() == reflect.String && !isText {
		return errors.New("must be text: put it in quotes")
	}
	text := fmt.Sprint(raw)
	var err error
	switch target := dst.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		err = target.UnmarshalText([]byte(text))
	case *bool:
		*target, err = strconv.ParseBool(text)
	case *int:
		*target, err = strconv.Atoi(text)
	case *float64:
		*target, err = strconv.ParseFloat(text, 64)
		if math.IsNaN(*target) || math.IsInf(*target, 0) {
			err = strconv.ErrSyntax
		}
	case *time.Duration:
		*target, err = time.ParseDuration(text)
	default:
		dst.SetString(text)
	}
	expected, known := expectations[dst.Type()]
	switch {
	case errors.Is(err, strconv.ErrRange):
		return errors.New("is out of range")
	case err != nil && known:
		return errors.New(expected)
	}
	return err
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
