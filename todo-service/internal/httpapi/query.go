package httpapi

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/todo-service/internal/task"
)

// maxReportedFields bounds the invalid parameters that one problem document names.
const maxReportedFields = 10

// parseQuery parses the parameters of a list, of which this one has those that are known.
// A query string that cannot be decoded is 400. An unknown, repeated or invalid parameter
// is 422 and named in the response.
func parseQuery(raw string, known ...string) (query task.Query, err error) {
	if raw == "" { // most requests
		return query, nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return query, httpserver.StatusError(http.StatusBadRequest, "the query string cannot be decoded: write other characters than letters and digits as %%XX")
	}
	if values.Has("") {
		return query, httpserver.StatusError(http.StatusBadRequest, "the query string has a value without a name")
	}
	query.Order = task.Order(values.Get("sort")) // before the cursor, whose form depends on it
	var invalid []apperr.Field
	for _, name := range slices.Sorted(maps.Keys(values)) {
		var problem string
		switch value := values.Get(name); {
		// Unknown parameters are errors: ignoring a misspelt filter would return unfiltered
		// tasks as if they were filtered.
		case !slices.Contains(known, name):
			problem = "is not a parameter of this resource, which has: " + cmp.Or(strings.Join(known, ", "), "none")
		case len(values[name]) > 1:
			problem = "must be given once"
		default:
			problem = setParameter(&query, name, value)
		}
		if problem != "" && len(invalid) < maxReportedFields {
			invalid = append(invalid, apperr.Field{Name: fmt.Sprintf("%.100s", name), Problem: problem})
		}
	}
	if len(invalid) > 0 {
		return query, apperr.InvalidFields(invalid...)
	}
	return query, nil
}

// setParameter sets a parameter of a list, and returns the problem of an invalid one.
func setParameter(query *task.Query, name, value string) (problem string) {
	switch name {
	case "after":
		problem = query.SetAfter(value)
	case "limit":
		var limit int64
		limit, problem = parseInRange(value, 1, task.MaxLimit)
		query.Limit = int(limit)
	case "done":
		query.Done = new(value == "true")
		if value != "true" && value != "false" {
			problem = "must be true or false"
		}
	case "q":
		query.Contains = value
	case "sort":
		_, problem = task.ParseOrder(value)
	}
	return problem
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
