package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"testing"
	"time"
)

// The promises of make run.
const (
	readyLimit = 15 * time.Second // when everything is cached
	idleLimit  = 64e6             // bytes of resident memory of each service
)

var readyAfter = regexp.MustCompile(`Ready after (\S+)[.,]\s`)

func TestSecondRunIsReadyInTimeAndIdleServicesStaySmall(t *testing.T) {
	if _, ok := system.deployment.(*stack); !ok {
		t.Skip("this is what make run promises, without containers")
	}
	s, err := newStack(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const kafka = "embedded" // that of make run
	if err := s.run(t.Context(), kafka); err != nil {
		t.Fatal(err)
	}
	if err := s.interrupt(); err != nil {
		t.Error(err)
	}
	if err := s.run(t.Context(), kafka, "RATE_LIMIT_REQUESTS=1000000"); err != nil {
		t.Fatal(err)
	}
	second, err := newAccess(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.end(); err != nil {
			t.Error(err)
		}
	})

	said, err := os.ReadFile(s.outputPath())
	if err != nil {
		t.Fatal(err)
	}
	match := readyAfter.FindSubmatch(said)
	if match == nil {
		t.Fatalf("devstack does not say when it was ready:\n%s", said)
	}
	if took, err := time.ParseDuration(string(match[1])); err != nil || took > readyLimit {
		t.Errorf("ready after %s, want %v", match[1], readyLimit)
	}

	url, header := second.url("TODO_HTTP_ADDR", "/tasks"), second.user(t).header()
	for i := range 100 {
		task := decode[taskJSON](t, request(t, second.http, http.MethodPost, url, fmt.Sprintf(`{"title":"Load %d"}`, i), header...), http.StatusCreated)
		decode[taskJSON](t, request(t, second.http, http.MethodPatch, fmt.Sprintf("%s/%d/done", url, task.ID), "", header...), http.StatusOK)
		decode[[]taskJSON](t, request(t, second.http, http.MethodGet, url, "", header...), http.StatusOK)
	}
	pause := time.NewTicker(time.Second) // a service that is polled more often is not idle
	defer pause.Stop()
	eventually(t, 3*time.Minute, func() error {
		<-pause.C
		var large []error
		for _, ops := range opsListeners {
			if bytes := second.counter(t, ops, "process_resident_memory_bytes"); bytes > idleLimit {
				large = append(large, fmt.Errorf("%s: %.1f MB", ops, bytes/1e6))
			}
		}
		return errors.Join(large...)
	})
}
