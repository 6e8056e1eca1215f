package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// statsDays is the maximum number of days of GET /stats.
const statsDays = "366"

// readStatsReports requests GET /stats of every replica.
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
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return history.StatsReport{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return history.StatsReport{}, fmt.Errorf("GET /stats: %s", response.Status)
	}
	var body struct {
		Total int64 `json:"completed_total"`
		ByDay []struct {
			Day       string `json:"day"`
			Completed int64  `json:"completed"`
		} `json:"by_day"`
		Lag      *int64 `json:"lag"`
		Complete bool   `json:"complete"`
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		return history.StatsReport{}, fmt.Errorf("GET /stats: %w", err)
	}
	r := history.StatsReport{Total: body.Total, ByDay: map[string]int64{}, Lag: -1, Complete: body.Complete}
	if body.Lag != nil {
		r.Lag = *body.Lag
	}
	for _, day := range body.ByDay {
		r.ByDay[day.Day] += day.Completed
	}
	return r, nil
}
