package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// The load of the test with a killed broker: each client completes some tasks before the kill and some after it.
const (
	scaleClients = 4
	scaleTasks   = 20
)

func TestNothingIsLostWhenABrokerIsKilledUnderLoad(t *testing.T) {
	c := containers(t)
	if variant != "scale" {
		t.Skip("one broker cannot be spared; E2E_VARIANT=scale has three")
	}
	before := settled(t, kafkaClient(t))

	u := system.user(t)
	completed := make([][]string, scaleClients) // titles, by client
	killed := make(chan struct{})
	var clients, started sync.WaitGroup
	started.Add(scaleClients)
	for client := range scaleClients {
		clients.Go(func() {
			for i, after := 0, 0; after < scaleTasks; i++ {
				if i == scaleTasks {
					started.Done()
				}
				select {
				case <-killed:
					after++
				default:
				}
				title := fmt.Sprintf("Broker killed %d-%d", client, i)
				if err := createAndComplete(t.Context(), u, title); err != nil {
					t.Error(err)
				}
				completed[client] = append(completed[client], title)
			}
		})
	}
	started.Wait()
	c.act(t, "kill", "kafka-2")
	close(killed)
	clients.Wait()
	if t.Failed() {
		return
	}

	// Two brokers are enough: everything arrives while the third is away.
	want := slices.Sorted(slices.Values(slices.Concat(completed...)))
	eventually(t, time.Minute, func() error {
		got := slices.Sorted(slices.Values(withPrefix(notifications(t), "Broker killed")))
		if !slices.Equal(got, want) {
			return fmt.Errorf("%d notifications of %d completions, %d different ones", len(got), len(want), len(slices.Compact(got)))
		}
		return nil
	})
	if after := settled(t, kafkaClient(t)); after.CompletedTotal != before.CompletedTotal+int64(len(want)) {
		t.Errorf("counted %d after %d, want %d more", after.CompletedTotal, before.CompletedTotal, len(want))
	}
	if err := c.awaitHealthy(t.Context(), "kafka-2"); err != nil {
		t.Error(err)
	}
}

// createAndComplete sends both requests through the balancer. Neither may fail: a broker is no part of a request.
func createAndComplete(ctx context.Context, u user, title string) error {
	header := append(u.header(), "X-Forwarded-For", unseenAddr())
	created, err := try(ctx, system.http, http.MethodPost, system.url("TODO_HTTP_ADDR", "/tasks"), fmt.Sprintf(`{"title":%q}`, title), header...)
	if err != nil {
		return fmt.Errorf("creating %s: %w", title, err)
	}
	if created.status != http.StatusCreated {
		return fmt.Errorf("creating %s: status %d: %s", title, created.status, created.body)
	}
	url := system.url("TODO_HTTP_ADDR", created.header.Get("Location")+"/done")
	completed, err := try(ctx, system.http, http.MethodPatch, url, "", append(u.header(), "X-Forwarded-For", unseenAddr())...)
	if err != nil {
		return fmt.Errorf("completing %s: %w", title, err)
	}
	if completed.status != http.StatusOK {
		return fmt.Errorf("completing %s: status %d: %s", title, completed.status, completed.body)
	}
	return nil
}
