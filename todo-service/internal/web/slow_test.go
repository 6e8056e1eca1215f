package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// slowBody is a body that takes 6 s to arrive, a second more than a request may take.
type slowBody struct{ io.Reader }

func (b slowBody) Read(p []byte) (int, error) {
	<-time.After(6 * time.Second)
	return b.Reader.Read(p)
}

func TestSlowFormIsAnsweredWithItsCause(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]io.Reader{
		"complete":  strings.NewReader("title=A&priority=0"),
		"timed out": io.MultiReader(strings.NewReader("title=A"), iotest.ErrReader(os.ErrDeadlineExceeded)),
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture()
			got := f.send(httptest.NewRequest(http.MethodPost, "/page/tasks", slowBody{body}), "Content-Type", "application/x-www-form-urlencoded")
			if got.Status != http.StatusBadRequest || !strings.Contains(text(got.parse(t)), "so slowly that no time was left for it, so nothing was changed. Send it again.") {
				t.Errorf("%s: %d %s", name, got.Status, got.Body)
			}
			if list := titles(f.document(t, "/", http.StatusOK)); len(list) > 0 {
				t.Errorf("%s: added %q", name, list)
			}
		})
	}
}
