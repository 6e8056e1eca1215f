package passwordinput_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/passwordinput"
)

func TestReadReturnsTheOnlyLineOfStandardInput(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ input, want string }{
		{"a long-tailed tit\n", "a long-tailed tit"},
		{"a long-tailed tit\r\n", "a long-tailed tit"},
		{"  spaces stay  ", "  spaces stay  "},
		{"", ""},
	} {
		got, err := passwordinput.Read(t.Context(), strings.NewReader(test.input), io.Discard, "Password: ")
		if err != nil || got != test.want {
			t.Errorf("%q: %q, %v", test.input, got, err)
		}
	}
}

func TestReadRejectsMoreThanOnePassword(t *testing.T) {
	t.Parallel()
	for name, input := range map[string]string{"two lines": "one\ntwo\n", "too many bytes": strings.Repeat("a", 5000)} {
		_, err := passwordinput.Read(t.Context(), strings.NewReader(input), io.Discard, "Password: ")
		if err == nil || apperr.Of(err).Kind != apperr.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadReturnsTheErrorOfItsInput(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	if _, err := passwordinput.Read(t.Context(), iotest.ErrReader(broken), io.Discard, "Password: "); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	silent, _ := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := passwordinput.Read(ctx, silent, io.Discard, "Password: "); err == nil {
		t.Error("it returned a password")
	}
}
