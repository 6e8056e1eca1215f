package kafka_test

import (
	"strings"
	"testing"

	"example.com/todo/platform/kafka"
)

func TestValidateNamesEachInvalidSetting(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*kafka.Config)
		want   string // the key complained about; "" when all is well
	}{
		"defaults":        {func(*kafka.Config) {}, ""},
		"several brokers": {func(c *kafka.Config) { c.Brokers = []string{"a:1", "[::1]:2"} }, ""},
		"an instance":     {func(c *kafka.Config) { c.InstanceID = "reader-0.a_B" }, ""},
		"no broker":       {func(c *kafka.Config) { c.Brokers = nil }, "brokers"},
		"no port":         {func(c *kafka.Config) { c.Brokers = []string{"a:1", "b"} }, "brokers"},
		"no host":         {func(c *kafka.Config) { c.Brokers = []string{":9092"} }, "brokers"},
		"no partition":    {func(c *kafka.Config) { c.Partitions = 0 }, "partitions"},
		"a blank":         {func(c *kafka.Config) { c.InstanceID = "reader 0" }, "instance_id"},
		"only dots":       {func(c *kafka.Config) { c.InstanceID = ".." }, "instance_id"},
		"too long":        {func(c *kafka.Config) { c.InstanceID = strings.Repeat("x", 250) }, "instance_id"},
	} {
		cfg := kafka.Defaults("test")
		test.change(&cfg)
		err := cfg.Validate()
		if (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want+":") {
			t.Errorf("%s: got %v, want a complaint about %q", name, err, test.want)
		}
	}
}
