package observability

import (
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver
	"github.com/tidwall/gjson"

	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/testca"
)

// evaluationTimeout is how long an expression may need for its first value. Rules on rules
// of a group that is evaluated every 30 s need several evaluations.
const evaluationTimeout = 3 * time.Minute

func TestEveryExpressionHasDataAndTheCountsAgree(t *testing.T) {
	// One listener speaks TLS, so that the metrics of certificates have values.
	ca := testca.New(t)
	certificate := ca.Issue("127.0.0.1")
	s := startSystem(t,
		fmt.Sprintf("RATE_LIMIT_REQUESTS=%d", limitRequests), "RATE_LIMIT_WINDOW=5s", "TRUSTED_PROXIES=127.0.0.1/32",
		fmt.Sprintf("WATCH_MAX_WATCHERS=%d", maxWatchers), fmt.Sprintf("WATCH_MAX_PER_CLIENT=%d", maxPerClient),
		fmt.Sprintf("HTTP_MAX_CONNS=%d", maxConns),
		"WEBHOOK_URL="+startWebhook(t), "WEBHOOK_ALLOW_PRIVATE=true",
		"WEBHOOK_SECRET=whsec_"+base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"GRPC_TLS_CERT="+certificate.Cert, "GRPC_TLS_KEY="+certificate.Key,
		"LOG_LEVEL=ERROR",
	)
	p := startPrometheus(t, map[string]string{
		"todo-service": s.env["TODO_OPS_ADDR"], "notification-service": s.env["NOTIFICATION_OPS_ADDR"], "stats-service": s.env["STATS_OPS_ADDR"],
	})
	stopWorkload := startWorkload(t, s, ca)
	injectFaults(t, s, p)

	dashboards := readDashboards(t)
	expressions := ruleExpressions(t, p)
	for _, d := range dashboards {
		expressions = append(expressions, dashboardExpressions(t, p, d)...)
	}
	expressions = withAlternatives(t, expressions)
	t.Logf("%d expressions of %d dashboards and of the rules", len(expressions), len(dashboards))
	checkExpressions(t, p, expressions)
	checkRulesWork(t, p)
	checkScrapeInterval(t, p)

	if *picture != "" {
		testenv.EventuallyWithin(t, 2*pictureTime, "enough data for a picture", func() bool { return time.Since(p.began) > pictureTime })
	}
	stopWorkload()
	checkCountsAgree(t, s, p, statsTargets(dashboards))
	if *picture != "" {
		drawPicture(t, s, p, dashboards["overview"])
	}
}

// checkExpressions waits until each expression has given a finite value, and names those that did not.
func checkExpressions(t *testing.T, p *prometheus, expressions []expression) {
	t.Helper()
	deadline := time.Now().Add(evaluationTimeout)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for pending := expressions; len(pending) > 0; <-ticker.C {
		var left []expression
		for _, e := range pending {
			switch err := p.check(t.Context(), e); {
			case err == nil:
			case isInvalid(err) || time.Now().After(deadline):
				t.Errorf("%s: %v: %s", e.where, err, e.promql)
			default:
				left = append(left, e)
			}
		}
		pending = left
	}
}

// checkCountsAgree compares the completions of today in the database, in GET /stats by each
// panel that reads it, and in the gauge.
func checkCountsAgree(t *testing.T, s *system, p *prometheus, targets map[string]target) {
	t.Helper()
	db, err := sql.Open("postgres", s.env["POSTGRES_DSN"])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if len(targets) == 0 {
		t.Fatal("no panel reads /stats")
	}
	counts := map[string]int64{}
	agree := func() error {
		var want int64
		if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM events WHERE type = 'task.completed'
			AND (at AT TIME ZONE 'UTC')::date = (now() AT TIME ZONE 'UTC')::date`).Scan(&want); err != nil {
			return err
		}
		gauge, err := p.value(t.Context(), "max(stats_completed_today_tasks)")
		counts["database"], counts["gauge"] = want, int64(gauge)
		for title, q := range targets {
			records, failed := fetchTable(s.env["STATS_HTTP_ADDR"], q)
			if failed == nil {
				counts["panel "+title], failed = lastNumber(records)
			}
			err = errors.Join(err, failed)
		}
		for _, count := range counts {
			if count != want || count == 0 {
				err = errors.Join(err, fmt.Errorf("the counts of today do not agree, or are 0: %v", counts))
				break
			}
		}
		return err
	}
	deadline := time.Now().Add(time.Minute)
	for err := agree(); err != nil; err = agree() {
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		// The workload was stopped, and then a day began.
		if counts["database"] == 0 {
			completeTask(t, s)
		}
		testenv.Eventually(t, "the next scrape", scraped(t, p))
	}
	t.Logf("the counts of today agree: %v", counts)
}

// scraped returns a condition that is true after the next scrape of stats-service.
func scraped(t *testing.T, p *prometheus) func() bool {
	t.Helper()
	const lastScrape = `timestamp(up{job="stats-service"})`
	before, err := p.value(t.Context(), lastScrape)
	if err != nil {
		t.Fatal(err)
	}
	return func() bool {
		now, err := p.value(t.Context(), lastScrape)
		return err == nil && now > before
	}
}

// lastNumber returns the only number of a table's last record: today's, where there are several days.
func lastNumber(records table) (int64, error) {
	var numbers []string
	for _, cell := range records[len(records)-1] {
		if cell.Type == gjson.Number {
			numbers = append(numbers, cell.Raw)
		} else if today := time.Now().UTC().Format(time.DateOnly); cell.String() != today {
			return 0, fmt.Errorf("the last record is of %s, not of %s", cell, today)
		}
	}
	if len(numbers) != 1 {
		return 0, fmt.Errorf("not one number in the last of %v", records)
	}
	return strconv.ParseInt(numbers[0], 10, 64)
}
