package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// Sources names the settings of a section in errors that arise after Load. A section's struct has a field of
// this type without a tag, which Load fills. It equals every other: where a setting is from is no part of its value.
type Sources struct {
	Section string // its key in the file, "redis"; Defaults of a section may set it, Load does
	byKey   *map[string]string
}

// Name returns the setting's key, with its source and variable if Load has filled s: "redis.addr (environment
// REDIS_ADDR)". key is relative to the section.
func (s Sources) Name(key string) string {
	full := join(s.Section, key)
	if s.byKey == nil {
		return full
	}
	source, described := (*s.byKey)[full], setting{key: full}
	if strings.HasPrefix(source, described.envSource()) {
		return fmt.Sprintf("%s (%s)", full, source)
	}
	return fmt.Sprintf("%s (%s; variable %s)", full, source, described.env())
}

// Equal returns true, for comparisons of settings.
func (Sources) Equal(Sources) bool { return true }

// Listen binds addr, the value of the setting key. Its error names the setting and says what to try.
func (s Sources) Listen(key, addr string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err == nil {
		return listener, nil
	}
	try := "choose an address of this machine and a free port"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		try = "stop the program that listens there, or choose another port"
	case errors.Is(err, syscall.EACCES):
		try = "choose a port from 1024 on, or permit the process to use this one"
	}
	return nil, fmt.Errorf("%s: %w: %s", s.Name(key), err, try)
}
