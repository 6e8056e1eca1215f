package httpserver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"example.com/todo/platform/httpserver"
)

func ExampleReadJSON() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Title string `json:"title"`
		}
		if err := httpserver.ReadJSON(w, r, 64<<10, &in); err != nil {
			httpserver.WriteProblem(w, r, err)
			return
		}
		fmt.Fprintf(w, "created %s\n", in.Title)
	}
	for _, body := range []string{`{"title":"Learn Go"}`, `{"titel":"Learn Go"}`} {
		r := httptest.NewRequest(http.MethodPost, "/things", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 created Learn Go
	// 400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"there is no key \"titel\"","error":"there is no key \"titel\""}
}
