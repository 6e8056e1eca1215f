package testenv

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// CheckSettings fails the test unless settings, a pointer to a library's configuration struct, match the golden
// file, which has one line for each exported field, also of nested structs. An interface is shown as its
// type, a function or pointer as set or unset. So a new version of the library that adds a field or
// changes a default fails the test. After a review, UPDATE_SETTINGS=1 writes the file.
func CheckSettings(t testing.TB, golden string, settings any) {
	t.Helper()
	got := strings.Join(settingLines("", reflect.ValueOf(settings).Elem()), "\n") + "\n"
	if os.Getenv("UPDATE_SETTINGS") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Error(err)
		}
		return
	}
	file, err := os.ReadFile(golden) //nolint:gosec // the test names its own golden file
	if err != nil {
		t.Error(err)
		return
	}
	if diff := cmp.Diff(strings.Split(string(file), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s is outdated (-golden +settings):\n%s", golden, diff)
	}
}

func settingLines(path string, value reflect.Value) (all []string) {
	for field, of := range value.Fields() {
		if !field.IsExported() {
			continue
		}
		_, text := of.Interface().(fmt.Stringer)
		if of.Kind() == reflect.Struct && !text {
			all = append(all, settingLines(path+field.Name+".", of)...)
			continue
		}
		all = append(all, path+field.Name+" = "+formatSetting(of))
	}
	return all
}

// formatSetting formats a value without memory addresses, which differ from run to run.
func formatSetting(value reflect.Value) string {
	switch value.Kind() {
	case reflect.Interface:
		return fmt.Sprintf("%T", value.Interface())
	case reflect.Slice:
		var elements []string
		for i := range value.Len() {
			elements = append(elements, formatSetting(value.Index(i)))
		}
		return fmt.Sprint(elements)
	case reflect.Func, reflect.Pointer, reflect.Map, reflect.Chan:
		if value.IsNil() {
			return "unset"
		}
		return "set"
	}
	return fmt.Sprint(value.Interface())
}
