package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/signin"
)

const (
	reportTimeout = 10 * time.Second       // with repetitions
	reportPause   = 100 * time.Millisecond // before a repetition
)

// StatsReports requests GET /stats of every replica of stats-service, for all users.
func (p *Probe) StatsReports(ctx context.Context) ([]history.StatsReport, error) {
	query := ""
	if p.Admin != nil {
		query = "&scope=all"
	}
	var all []history.StatsReport
	for i := range p.Stats {
		r, err := p.readStats(ctx, p.Admin, i, query)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// UserReports requests what each user is shown of itself at every replica.
func (p *Probe) UserReports(ctx context.Context) (all []history.UserReport, err error) {
	for i := range p.Stats {
		for _, user := range p.Users {
			var r history.UserReport
			if r.StatsReport, err = p.readStats(ctx, user, i, ""); err != nil {
				return nil, err
			}
			if err := p.get(ctx, user, p.Todo[i]+"/tasks/counts", &r.Tasks); err != nil {
				return nil, err
			}
			r.User = user.ID()
			all = append(all, r)
		}
	}
	return all, nil
}

func (p *Probe) readStats(ctx context.Context, user *signin.User, replica int, query string) (history.StatsReport, error) {
	body := struct {
		Total int64 `json:"completed_total"`
		ByDay []struct {
			Day       string
			Completed int64
		} `json:"by_day"`
		Lag      int64
		Complete bool
	}{Lag: -1} // null while it is unknown
	err := p.get(ctx, user, p.Stats[replica]+"/stats?days=366"+query, &body)
	r := history.StatsReport{
		Replica: replica + 1, Total: body.Total, ByDay: map[string]int64{}, Lag: body.Lag, Complete: body.Complete,
	}
	for _, day := range body.ByDay {
		r.ByDay[day.Day] += day.Completed
	}
	return r, err
}

// get requests an address with the session of a user, and decodes the response. If the session has
// ended, it signs in and repeats the request; after 503, which a busy machine answers, it repeats it, too.
func (p *Probe) get(ctx context.Context, user *signin.User, addr string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	for mayBeOver := true; ; {
		token, err := user.Token(ctx, p.Todo[0])
		if err != nil {
			return err
		}
		status, err := getJSON(ctx, addr, token, into)
		switch {
		case status == http.StatusUnauthorized && mayBeOver:
			mayBeOver = false
			user.Forget(token)
		case status == http.StatusServiceUnavailable && retry.Wait(ctx, reportPause):
		default:
			return err
		}
	}
}

// getJSON decodes a 200; every other status is an error.
func getJSON(ctx context.Context, addr, token string, into any) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr, http.NoBody)
	if err != nil {
		return 0, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return response.StatusCode, fmt.Errorf("GET %s: %s", addr, response.Status)
	}
	return response.StatusCode, json.NewDecoder(response.Body).Decode(into)
}
