package app

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/todo/platform/config"
)

func TestTheExampleFileShowsEverySettingAndItsDefault(t *testing.T) {
	var empty Config
	if err := config.Load(&empty, "../../config.example.yaml", nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Defaults(), empty, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("the example alone, without defaults (-defaults +example):\n%s", diff)
	}
}

func TestLimitsThatLetNobodyInAreRefused(t *testing.T) {
	for _, environ := range [][]string{
		{"RATE_LIMIT_REQUESTS=0"},
		{"RATE_LIMIT_REQUESTS=many"},
		{"RATE_LIMIT_WINDOW=10ms"},
		{"RATE_LIMIT_WINDOW=60"},
		{"TRUSTED_PROXIES=localhost"},
		{"DRAIN_WAIT=-1s"},
		{"KAFKA_PARTITIONS=0"},
	} {
		if _, err := Load("", environ); err == nil {
			t.Errorf("%s is accepted", environ)
		}
	}
	if _, err := Load("", []string{"TRUSTED_PROXIES=10.0.0.0/8,::1/128", "REDIS_CACHE_ADDR=cache:6379"}); err != nil {
		t.Error(err)
	}
}
