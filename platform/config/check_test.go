package config_test

import (
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/config"
	"example.com/todo/platform/config/configtest"
)

func TestChecksAcceptValidValues(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{
		":8080", ":0", ":65535", "localhost:8080", "0.0.0.0:80", "[::]:80", "[::1]:80", "[fe80::1%eth0]:80", "my_container:80", "a.b-c.example.com:80", "a.example.com.:80",
	} {
		if err := config.CheckListenAddr("addr", addr); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		if strings.HasPrefix(addr, ":") {
			continue
		}
		if err := config.CheckServerAddrs("addr", addr, "localhost:1"); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for _, url := range []string{"http://a", "https://a.example.com:8443/a%20b?c=d", "https://[::1]:1/", "HTTPS://A.example.com", "http://10.0.0.1/"} {
		if err := config.CheckURL("url", url, "http", "https"); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, word := range []string{"", "todo-service", "{app}:", "äöü", strings.Repeat("x", 249)} {
		if err := config.CheckName("word", word); err != nil {
			t.Errorf("%q: %v", word, err)
		}
	}
}

func TestChecksRejectInvalidValues(t *testing.T) {
	t.Parallel()
	expectRejected := func(what, value string, err error) {
		if err == nil || !strings.HasPrefix(err.Error(), "key: ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s %q: got %v", what, value, err)
		}
	}
	for _, addr := range append(configtest.ListenAddrs, "") {
		expectRejected("listen on", addr, config.CheckListenAddr("key", addr))
	}
	for _, addr := range append(configtest.ServerAddrs, "", "0x7f.1:80", "1234:80", strings.Repeat("a.", 127)+"a:80") {
		expectRejected("connect to", addr, config.CheckServerAddrs("key", addr))
		expectRejected("connect to both", addr, config.CheckServerAddrs("key", "a:1", addr))
	}
	expectRejected("connect to", "none", config.CheckServerAddrs("key"))
	for _, url := range []string{"", "a", "http:a", "http:///a", "ftp://a", "http://u:hunter2@a", "http://a/#", "http://a/#b", "http://a:", "http://a:x", "http://a:0", "http://a b", "http://\"a\"", "\"http://a\"", "http://127.1"} {
		expectRejected("URL", url, config.CheckURL("key", url, "http", "https"))
	}
	for _, word := range configtest.Words {
		expectRejected("word", word, config.CheckName("key", word))
	}
}

func TestRangeErrorsUseTheUnitOfTheSetting(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{config.CheckRange("n", 0, 1, 10), "n: must be from 1 to 10"},
		{config.CheckRange("n", 11, 1, 10), "n: must be from 1 to 10"},
		{config.CheckRange("n", 1, 1, 10), ""},
		{config.CheckRange("n", 10, 1, 10), ""},
		{config.CheckRange("ratio", 1.5, 0, 1), "ratio: must be from 0 to 1"},
		{config.CheckRange("time", 0, time.Millisecond, 24*time.Hour), "time: must be from 1ms to 24h"},
		{config.CheckRange("time", time.Hour, 10*time.Second, 90*time.Second), "time: must be from 10s to 1m30s"},
		{config.CheckRangeOrZero("time", time.Hour, time.Minute, 5*time.Minute, "no bound"), "time: must be 0 (no bound), or from 1m to 5m"},
		{config.CheckRangeOrZero("time", 0, time.Minute, 5*time.Minute, "no bound"), ""},
	} {
		got := ""
		if tt.err != nil {
			got = tt.err.Error()
		}
		if got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
