package contentcoding_test

import (
	"net/http"
	"testing"

	"example.com/todo/todo-service/internal/contentcoding"
)

func TestClientAcceptsGzipWithAWeightAboveZero(t *testing.T) {
	t.Parallel()
	for accepted, want := range map[string]bool{
		"gzip":                  true,
		"GZIP":                  true,
		"br, gzip;q=0.5":        true,
		"br;q=1.0 , gzip ; q=1": true,
		"":                      false,
		"identity":              false,
		"gzip;q=0":              false,
		"br, gzip; q=0.000":     false,
		"gzip;q=much":           false,
		"notgzip":               false,
		"*":                     false,
	} {
		if got := contentcoding.AcceptsGzip(http.Header{"Accept-Encoding": {accepted}}); got != want {
			t.Errorf("Accept-Encoding %q: %t", accepted, got)
		}
	}
	if !contentcoding.AcceptsGzip(http.Header{"Accept-Encoding": {"br", "gzip"}}) {
		t.Error("two header lines are not one list")
	}
}
