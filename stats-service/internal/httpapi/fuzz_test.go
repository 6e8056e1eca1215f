package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func FuzzQuery(f *testing.F) {
	for _, query := range []string{"", "days=1", "days=367", "days=1&days=2", "days=%zz", "days=+1", "=1", "days=1;x"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		request := httptest.NewRequest(http.MethodGet, "/stats", nil)
		request.URL.RawQuery = query // not checked, so that any query is tested
		if response := serve(t, &fakeReporter{}, request); response.Code >= 500 {
			t.Errorf("%d %s", response.Code, response.Body)
		}
	})
}
