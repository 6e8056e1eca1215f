package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// days is as far back as GET /stats goes.
const days = "366"

// reports asks every replica of stats-service.
func reports(ctx context.Context, addrs []string) ([]history.Report, error) {
	var all []history.Report
	for i, addr := range addrs {
		r, err := report(ctx, addr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", addr, err)
		}
		r.Replica = i + 1
		all = append(all, r)
	}
	return all, nil
}

func report(ctx context.Context, addr string) (history.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/stats?days="+days, nil)
	if err != nil {
		return history.Report{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return history.Report{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return history.Report{}, fmt.Errorf("GET /stats: %s", answer.Status)
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
		return history.Report{}, fmt.Errorf("GET /stats: %w", err)
	}
	r := history.Report{Total: said.Total, ByDay: map[string]int64{}, Lag: -1, Complete: said.Complete}
	if said.Lag != nil {
		r.Lag = *said.Lag
	}
	for _, day := range said.ByDay {
		r.ByDay[day.Day] += day.Completed
	}
	return r, nil
}
