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

// The load of the test with a killed broker.
const (
	scaleClients = 4
	scaleTasks   = 50 // of each client
)

func TestNothingIsLostWhenABrokerIsKilledUnderLoad(t *testing.T) {
	c := containers(t)
	if variant != "scale" {
		t.Skip("one broker cannot be spared; E2E_VARIANT=scale has three")
	}
	before := settled(t, kafkaClient(t))

	// Each client completes a third of its tasks before the broker is killed.
	var clients, third sync.WaitGroup
	third.Add(scaleClients)
	for client := range scaleClients {
		clients.Go(func() {
			for i := range scaleTasks {
				if i == scaleTasks/3 {
					third.Done()
				}
				if err := createAndComplete(t.Context(), scaleTitle(client, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	third.Wait()
	if err := c.compose(t.Context(), "kill", "kafka-2"); err != nil {
		t.Error(err)
	}
	clients.Wait()
	if t.Failed() {
		return
	}

	// Two brokers are enough: everything arrives while the third is away.
	var want []string
	for client := range scaleClients {
		for i := range scaleTasks {
			want = append(want, scaleTitle(client, i))
		}
	}
	slices.Sort(want)
	eventually(t, time.Minute, func() error {
		got := withPrefix(notifications(t), "Broker killed")
		slices.Sort(got)
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

func scaleTitle(client, i int) string { return fmt.Sprintf("Broker killed %d-%02d", client, i) }

// createAndComplete sends both requests through the balancer. Neither may fail: a broker is no part of a request.
func createAndComplete(ctx context.Context, title string) error {
	url := "http://" + system.address("TODO_HTTP_ADDR")
	created, err := try(ctx, http.DefaultClient, http.MethodPost, url+"/tasks", fmt.Sprintf(`{"title":%q}`, title), "X-Forwarded-For", unseenAddr())
	if err != nil {
		return fmt.Errorf("creating %s: %w", title, err)
	}
	if created.status != http.StatusCreated {
		return fmt.Errorf("creating %s: status %d: %s", title, created.status, created.body)
	}
	completed, err := try(ctx, http.DefaultClient, http.MethodPatch, url+created.header.Get("Location")+"/done", "", "X-Forwarded-For", unseenAddr())
	if err != nil {
		return fmt.Errorf("completing %s: %w", title, err)
	}
	if completed.status != http.StatusOK {
		return fmt.Errorf("completing %s: status %d: %s", title, completed.status, completed.body)
	}
	return nil
}
