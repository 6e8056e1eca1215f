package web

import (
	"net/http"
	"strings"
	"testing"

	"example.com/todo/platform/apperr"
)

func TestEveryKindOfErrorHasAStatusAndWords(t *testing.T) {
	t.Parallel()
	// The last kind of package apperr is Unavailable.
	for kind := apperr.Internal; kind <= apperr.Unavailable; kind++ {
		words, known := failureKinds[kind]
		if !known || http.StatusText(words.status) == "" || words.status < 400 || words.heading == "" {
			t.Errorf("kind %d has %+v", kind, words)
		}
		needsValue := kind == apperr.Internal || kind == apperr.RateLimited || kind == apperr.Unavailable
		if got := strings.Count(words.changeHint, "%s"); got != strings.Count(words.loadHint, "%s") || (got == 1) != needsValue {
			t.Errorf("kind %d has the hints %q and %q", kind, words.changeHint, words.loadHint)
		}
	}
	if len(failureKinds) != int(apperr.Unavailable)+1 {
		t.Errorf("%d kinds have words", len(failureKinds))
	}
}
