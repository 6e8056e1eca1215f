package httpapi

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"example.com/todo/platform/fault"
	"example.com/todo/platform/httpserver"
	"example.com/todo/todo-service/internal/task"
)

// parseQuery reads the parameters of a list. A query string that cannot be
// decoded is refused with 400. A parameter that is unknown, given twice, not of
// its form or out of range is refused with 422 and named: were a misspelt
// filter passed over, the answer would look filtered and not be.
func parseQuery(raw string) (task.Query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return task.Query{}, httpserver.Refuse(http.StatusBadRequest, "the query string cannot be decoded: write other characters than letters and digits as %%XX")
	}
	if values.Has("") {
		return task.Query{}, httpserver.Refuse(http.StatusBadRequest, "the query string has a value without a name")
	}
	var query task.Query
	var broken []fault.Field
	for _, name := range slices.Sorted(maps.Keys(values)) {
		problem := "must be given once"
		if len(values[name]) == 1 {
			problem = setParameter(&query, name, values[name][0])
		}
		if problem != "" {
			broken = append(broken, fault.Field{Name: name, Problem: problem})
		}
	}
	if len(broken) > 0 {
		return task.Query{}, fault.InvalidFields(broken...)
	}
	return query, nil
}

func setParameter(query *task.Query, name, value string) (problem string) {
	switch name {
	case "after":
		query.After, problem = number(value, 0, math.MaxInt64)
	case "limit":
		var limit int64
		limit, problem = number(value, 1, task.MaxLimit)
		query.Limit = int(limit)
	case "done":
		done := value == "true"
		if !done && value != "false" {
			return "must be true or false"
		}
		query.Done = &done
	case "q":
		query.Contains = value
	default:
		return "is not a parameter of this list: there are after, done, limit and q"
	}
	return problem
}

func number(value string, low, high int64) (n int64, problem string) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < low || n > high {
		return 0, fmt.Sprintf("must be a whole number from %d to %d", low, high)
	}
	return n, ""
}
