package redis

import (
	"errors"
	"fmt"
	"io"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/tlsconfig"
)

// errReadOnly has the prefix of the server's own reply to a write.
var errReadOnly = errors.New("READONLY it takes no writes")

// Explain returns err, which keeps Redis from being used, with the setting to look at and what to try.
func (c Config) Explain(err error) error {
	if err = c.ExplainTLS(err, c.Sources, "addr"); err == nil || errors.As(err, new(*tlsconfig.Error)) {
		return err
	}
	var try string
	switch {
	case hasReply(err, "NOAUTH"), strings.Contains(err.Error(), "unauthenticated"):
		try = "set " + c.Sources.Name("password")
	case hasReply(err, "WRONGPASS"), strings.Contains(err.Error(), "invalid password"):
		try = "correct " + c.Sources.Name("password") + " or " + c.Sources.Name("username")
	case hasReply(err, "NOPERM"):
		try = "permit the command to the user in " + c.Sources.Name("username")
	case hasReply(err, "READONLY"):
		try = "name the primary in " + c.Sources.Name("addr") + ", or its Sentinels and " + c.Sources.Name("master")
	case isReply(err):
		try = "the server's address is from " + c.Sources.Name("addr")
	case errors.Is(err, io.EOF) && !c.TLS:
		try = "is it running, and does it want TLS although " + c.Sources.Name("tls") + " is false?"
	default:
		try = "is it running, and does " + c.Sources.Name("addr") + " name it?"
	}
	return fmt.Errorf("%w: %s", err, try)
}

// isDenied reports whether the server rejects the user or the password.
func isDenied(err error) bool {
	return hasReply(err, "NOAUTH") || hasReply(err, "WRONGPASS") || strings.Contains(err.Error(), "invalid password")
}

// hasReply reports whether the server's reply, or errReadOnly, begins with the code.
func hasReply(err error, code string) bool {
	var reply goredis.Error
	if errors.As(err, &reply) {
		err = reply
	} else if errors.Is(err, errReadOnly) {
		err = errReadOnly
	}
	return strings.HasPrefix(err.Error(), code)
}
