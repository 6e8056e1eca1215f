package httpapi

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/todo-service/internal/task"
)

// parseListQuery parses the parameters of GET /tasks.
func parseListQuery(raw string) (query task.Query, err error) {
	return query, parseQuery(raw, func(name, value string) (problem string) {
		switch name {
		case "after":
			query.After, problem = parseInRange(value, 0, math.MaxInt64)
		case "limit":
			query.Limit, problem = parseLimit(value)
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
	})
}

// parseHistoryQuery parses the parameters of GET /tasks/{id}/events.
func parseHistoryQuery(raw string) (page task.Page, err error) {
	return page, parseQuery(raw, func(name, value string) (problem string) {
		switch name {
		case "after":
			page.After, problem = parseInRange(value, 0, math.MaxInt64)
		case "limit":
			page.Limit, problem = parseLimit(value)
		default:
			return "is not a parameter of this list: there are after and limit"
		}
		return problem
	})
}

// maxReportedFields bounds the invalid parameters that one problem document names.
const maxReportedFields = 10

// parseQuery calls set for each parameter; set returns the problem of an invalid one. A
// query string that cannot be decoded is 400. An unknown, repeated or invalid parameter is
// 422 and named in the response.
func parseQuery(raw string, set func(name, value string) (problem string)) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return httpserver.StatusError(http.StatusBadRequest, "the query string cannot be decoded: write other characters than letters and digits as %%XX")
	}
	if values.Has("") {
		return httpserver.StatusError(http.StatusBadRequest, "the query string has a value without a name")
	}
	// Unknown parameters are errors: ignoring a misspelt filter would return unfiltered
	// tasks as if they were filtered.
	var invalid []apperr.Field
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(invalid) == maxReportedFields {
			break
		}
		problem := "must be given once"
		if len(values[name]) == 1 {
			problem = set(name, values[name][0])
		}
		if problem != "" {
			invalid = append(invalid, apperr.Field{Name: fmt.Sprintf("%.100s", name), Problem: problem})
		}
	}
	if len(invalid) > 0 {
		return apperr.InvalidFields(invalid...)
	}
	return nil
}

func parseLimit(value string) (n int, problem string) {
	limit, problem := parseInRange(value, 1, task.MaxLimit)
	return int(limit), problem
}

func parseInRange(value string, low, high int64) (n int64, problem string) {
	n, err := parseNumber(value)
	if err != nil || n < low || n > high {
		return 0, fmt.Sprintf("must be a whole number from %d to %d", low, high)
	}
	return n, ""
}

// parseNumber parses an integer in the form in which this service writes it: not +1 or 01.
func parseNumber(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && strconv.FormatInt(n, 10) != text {
		err = strconv.ErrSyntax
	}
	return n, err
}
