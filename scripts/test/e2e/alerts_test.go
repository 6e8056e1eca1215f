package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

var liveAlerts = flag.Bool("alerts", false, "cause alerts until they fire, which takes a quarter of an hour")

// prometheusAPI is where Prometheus answers queries about itself.
func prometheusAPI() string { return "http://" + system.address("PROMETHEUS_ADDR") + "/api/v1/" }

func TestPrometheusScrapesTheServicesAndKnowsAlertmanager(t *testing.T) {
	c := containers(t)
	if err := c.awaitHealthy(t.Context(), "prometheus", "alertmanager"); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() error {
		targets := decode[struct {
			Data struct {
				ActiveTargets []struct {
					Labels            map[string]string
					Health, LastError string
				}
			}
		}](t, request(t, http.DefaultClient, http.MethodGet, prometheusAPI()+"targets?state=active", ""), http.StatusOK)
		up := map[string]bool{}
		for _, target := range targets.Data.ActiveTargets {
			if target.Health != "up" {
				return fmt.Errorf("%s is %s: %s", target.Labels["job"], target.Health, target.LastError)
			}
			up[target.Labels["job"]] = true
		}
		for _, job := range append([]string{"prometheus", "alertmanager"}, services...) {
			if !up[job] {
				return fmt.Errorf("there is no target of %s", job)
			}
		}
		return nil
	})
	managers := decode[struct {
		Data struct{ ActiveAlertmanagers []struct{ URL string } }
	}](t, request(t, http.DefaultClient, http.MethodGet, prometheusAPI()+"alertmanagers", ""), http.StatusOK)
	if len(managers.Data.ActiveAlertmanagers) != 1 {
		t.Errorf("Prometheus knows %d Alertmanagers", len(managers.Data.ActiveAlertmanagers))
	}
}

// liveAlert is a row of live.yml.
type liveAlert struct {
	Alert, Stop, Load string
	Settings, Labels  map[string]string
}

// alertsOf returns the alerts of live.yml that match selects.
func alertsOf(t *testing.T, selects func(liveAlert) bool) []liveAlert {
	t.Helper()
	content, err := os.ReadFile("../../../compose/prometheus/tests/live.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rows []liveAlert
	if err := yaml.Unmarshal(content, &rows); err != nil {
		t.Fatal(err)
	}
	rows = slices.DeleteFunc(rows, func(row liveAlert) bool { return !selects(row) })
	if len(rows) == 0 {
		t.Fatal("live.yml has no such alert")
	}
	return rows
}

// received returns how many of the alerts are active in Alertmanager, and one that is not.
func received(t *testing.T, rows []liveAlert) (n int, missing liveAlert) {
	t.Helper()
	active := decode[[]struct{ Labels map[string]string }](t,
		request(t, http.DefaultClient, http.MethodGet, "http://"+system.address("ALERTMANAGER_ADDR")+"/api/v2/alerts?active=true", ""), http.StatusOK)
	for _, row := range rows {
		matches := func(alert struct{ Labels map[string]string }) bool {
			for name, value := range row.Labels {
				if alert.Labels[name] != value {
					return false
				}
			}
			return alert.Labels["alertname"] == row.Alert
		}
		if slices.ContainsFunc(active, matches) {
			n++
		} else {
			missing = row
		}
	}
	return n, missing
}

// awaitAlerts calls cause when none of the alerts is active, and waits until all are.
func awaitAlerts(t *testing.T, rows []liveAlert, cause func()) {
	t.Helper()
	eventually(t, 5*time.Minute, func() error {
		if n, _ := received(t, rows); n > 0 {
			return fmt.Errorf("%d alerts are active before their cause", n)
		}
		return nil
	})
	cause()
	eventually(t, 6*time.Minute, func() error {
		if n, missing := received(t, rows); n < len(rows) {
			return fmt.Errorf("%d of %d alerts; missing: %+v", n, len(rows), missing)
		}
		return nil
	})
}

// observedContainers returns the system in containers with Prometheus and Alertmanager, under a load of 20 changes a
// second. It skips the test without the flag -alerts.
func observedContainers(t *testing.T) *composition {
	t.Helper()
	c := containers(t)
	if !*liveAlerts {
		t.Skip("make test-alerts runs this")
	}
	if err := c.awaitHealthy(t.Context(), "prometheus", "alertmanager"); err != nil {
		t.Fatal(err)
	}
	go changeTasks(t, system.user(t), 20)
	return c
}

func TestAlertsReachAlertmanagerWhileAPartIsStopped(t *testing.T) {
	c := observedContainers(t)
	for _, parts := range [][]string{{"kafka"}, {"redis"}, {"postgres"}, services} {
		t.Run(parts[0], func(t *testing.T) {
			rows := alertsOf(t, func(row liveAlert) bool { return slices.Contains(parts, row.Stop) })
			awaitAlerts(t, rows, func() {
				for _, part := range parts {
					c.stop(t, part)
				}
			})
			for _, part := range parts {
				c.start(t, part)
			}
		})
	}
}

func TestAlertsReachAlertmanagerUnderSettings(t *testing.T) {
	c := observedContainers(t)
	task := create(t, "Its history is read while alerts fire")
	for _, row := range alertsOf(t, func(row liveAlert) bool { return row.Settings != nil }) {
		t.Run(row.Alert, func(t *testing.T) {
			awaitAlerts(t, []liveAlert{row}, func() {
				c.reconfigure(t, row.Labels["job"], row.Settings)
				if row.Load != "" {
					readHistories(t, system.user(t), task.ID, 50)
				}
			})
		})
	}
}

// readHistories starts clients that read the history of a task without a pause until the test ends. They ignore failures:
// most of their requests are rejected.
func readHistories(t *testing.T, u user, id int64, clients int) {
	url := system.url("TODO_HTTP_ADDR", fmt.Sprintf("/tasks/%d/events", id))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients, TLSClientConfig: system.tls}}
	t.Cleanup(client.CloseIdleConnections)
	for range clients {
		go func() {
			for t.Context().Err() == nil {
				_, _ = try(t.Context(), client, http.MethodGet, url, "", append(u.header(), "X-Forwarded-For", unseenAddr())...)
			}
		}()
	}
}

// changeTasks creates and completes tasks, perSecond changes a second, and lists them, until the test ends. It ignores
// failures: parts are stopped meanwhile.
func changeTasks(t *testing.T, u user, perSecond int) {
	ticker := time.NewTicker(2 * time.Second / time.Duration(perSecond))
	defer ticker.Stop()
	for {
		select {
		case <-t.Context().Done():
			return
		case <-ticker.C:
			go func() {
				_ = createAndComplete(t.Context(), u, "Changed while alerts fire")
				_, _ = try(t.Context(), system.http, http.MethodGet, system.url("TODO_HTTP_ADDR", "/tasks"), "", append(u.header(), "X-Forwarded-For", unseenAddr())...)
			}()
		}
	}
}
