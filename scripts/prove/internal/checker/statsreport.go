package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// statsDays is as far back as GET /stats goes.
const statsDays = "366"

// readStatsReports asks every replica of stats-service.
func readStatsReports(ctx context.Context, addrs []string) ([]history.StatsReport, error) {
	var all []history.StatsReport
	for i, addr := range addrs {
		r, err := readStatsReport(ctx, addr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", addr, err)
		}
		r.Replica = i + 1
		all = append(all, r)
	}
	return all, nil
}

func readStatsReport(ctx context.Context, addr string) (history.StatsReport, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/stats?days="+statsDays, nil)
	if err != nil {
		return history.StatsReport{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return history.StatsReport{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return history.StatsReport{}, fmt.Errorf("GET /stats: %s", answer.Status)
	}
	var said struct {
		Total int64 `json:"completed_total"`
		ByDay []struct {
			Day       string `json:"day"`
			Completed int64  `json:"completed"`
		} `json:"by_day"`
		Lag      *int64 `json:"lag"`
		Complete bool   `json:"complete"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		return history.StatsReport{}, fmt.Errorf("GET /stats: %w", err)
	}
	r := history.StatsReport{Total: said.Total, ByDay: map[string]int64{}, Lag: -1, Complete: said.Complete}
	if said.Lag != nil {
		r.Lag = *said.Lag
	}
	for _, day := range said.ByDay {
		r.ByDay[day.Day] += day.Completed
	}
	return r, nil
}
