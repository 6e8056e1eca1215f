package sessiontest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/todo/platform/session/sessiontest"
)

// statuses has a row for each client: those of GET and POST on routes that are open,
// personal, owned, and for administrators.
const statuses = `
no token                       200 200 401 401 401 401 401 401
the owner                      200 200 200 200 200 200 403 403
another user                   200 200 200 200 404 404 403 403
an administrator               200 200 200 200 404 404 200 200
a disabled user                200 200 401 401 401 401 401 401
an expired session             200 200 401 401 401 401 401 401
a revoked session              200 200 401 401 401 401 401 401
a JWT                          200 200 401 401 401 401 401 401
a token in the query           400 400 400 400 400 400 400 400
a cookie without an origin     200 200 200 200 200 200 403 403
a cookie of this origin        200 200 200 200 200 200 403 403
a cookie of another site       200 403 200 403 200 403 403 403
a cookie with a foreign origin 200 403 200 403 200 403 403 403
`

var accesses = []sessiontest.Access{sessiontest.Open, sessiontest.Personal, sessiontest.Owned, sessiontest.AdminOnly}

func TestEachClientGetsTheStatusOfItsRow(t *testing.T) {
	t.Parallel()
	rows := strings.Split(strings.TrimSpace(statuses), "\n")
	clients := sessiontest.Clients()
	if len(rows) != len(clients) {
		t.Fatalf("%d clients, %d rows", len(clients), len(rows))
	}
	for i, client := range clients {
		got := fmt.Sprintf("%-30s", client.Name)
		for _, access := range accesses {
			got += fmt.Sprint(" ", client.WantStatus(access, http.MethodGet), " ", client.WantStatus(access, http.MethodPost))
		}
		if got != rows[i] {
			t.Errorf("got  %s\nwant %s", got, rows[i])
		}
	}
}

func TestCheckReportsEachDifference(t *testing.T) {
	t.Parallel()
	owner := sessiontest.Clients()[1]
	personal := http.Header{"Cache-Control": {"private, no-cache"}, "Vary": {"Authorization, Cookie"}}
	with := func(name, value string) http.Header {
		changed := personal.Clone()
		changed.Set(name, value)
		return changed
	}
	for name, test := range map[string]struct {
		status int
		header http.Header
		body   string
		want   string // a part of the error, "" for none
	}{
		"as it must be":        {200, personal, "{}", ""},
		"created":              {201, personal, "{}", ""},
		"another status":       {404, personal, "{}", "status 404, want 200"},
		"no challenge":         {401, personal, "{}", "WWW-Authenticate"},
		"a challenge":          {200, with("WWW-Authenticate", "Bearer"), "{}", "WWW-Authenticate"},
		"for every cache":      {200, with("Cache-Control", "no-cache"), "{}", "Cache-Control"},
		"for every user":       {200, with("Vary", "Origin"), "{}", "Vary"},
		"a cookie":             {200, with("Set-Cookie", "a=b"), "{}", "Set-Cookie"},
		"for a foreign origin": {200, with("Access-Control-Allow-Origin", "*"), "{}", "Access-Control-Allow-Origin"},
		"a secret":             {200, personal, "my secret", "the body has"},
	} {
		response := &http.Response{StatusCode: test.status, Header: test.header, Request: httptest.NewRequest(http.MethodGet, "/", nil)}
		err := owner.Check(sessiontest.Personal, response, test.body, "secret")
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}
