package page

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"example.com/todo/scripts/internal/browser"
)

// The states that other tests bring about have their screenshots there.

func TestEmptyList(t *testing.T) {
	p := arrive(t)
	p.awaitText(p.Selector("main"), "Nothing to do. Add the first task above.")
	p.inspect("empty")
	p.do(p.SetViewport(320, 640))
	p.inspect("empty, narrow")
}

func TestNothingFound(t *testing.T) {
	p := arrive(t, func() { create(t, "Learn Go", 1) })
	p.do(p.Press("/"))
	p.do(p.Press("<b>milk"))
	p.awaitTitles()
	p.awaitText(p.Selector("main"), "<b>milk")
	p.inspect("nothing found")
}

func TestOrdinaryDay(t *testing.T) {
	p := arrive(t, func() {
		for i, title := range []string{
			"Renew the passport before the summer", "Reply to Ada about the conference", "Learn gRPC",
			"A long title wraps to a second line instead of being cut off, so that all of it can be read at once, in every window",
			"Water the plants", "Buy milk",
		} {
			create(t, title, []int{90, 60, 55, 10, 2, 0}[i])
		}
		for _, title := range []string{"Learn Go", "Book the train to Berlin"} {
			change(t, create(t, title, 8).ID, map[string]any{"done": true})
		}
	})
	p.awaitCount(p.Selector("li[data-id]"), 8)
	p.await(p.Matching("link", `^Done\s+2$`))
	p.awaitText(p.Element("complementary", "Statistics"), "today")
	p.inspect("list")
	p.do(p.SetViewport(360, 740))
	p.inspect("list, narrow")
	p.do(p.SetMedia("", map[string]string{"prefers-color-scheme": "dark"}))
	p.inspect("list, dark, narrow")
	p.do(p.SetViewport(1280, 800))
	p.inspect("list, dark")
}

// The document has its rows before the script runs.
func TestFirstLoadHasItsRowsBeforeTheScript(t *testing.T) {
	p := prepared(t, func() { create(t, "Learn Go", 1) })
	entered, release := system.todo.hold(t, `^GET /assets/.*/main\.js$`, system.todo.forward.ServeHTTP)
	done := make(chan error, 1)
	go func() { done <- p.Navigate(system.todo.url()) }()
	receive(t, entered, "the request for the script")
	p.awaitTitles("Learn Go")
	p.inspect("first load")
	release()
	p.do(receive(t, done, "the load of the document"))
	p.awaitLive()
	p.awaitTitles("Learn Go")
}

func TestDatabaseThatIsAwayHasAPage(t *testing.T) {
	p := prepared(t)
	p.expectStatus(http.StatusServiceUnavailable)
	stopPart(t, "postgres")
	p.do(p.Navigate(system.todo.url()))
	p.awaitText(p.Selector("body"), "busy")
	p.inspect("database away")
	startPart(t, "postgres")
	awaitDatabase(t)
}

func TestStatisticsAreShownAndFollow(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 1) })
	panel := p.Element("complementary", "Statistics")
	p.awaitText(panel, "Completed today")
	p.awaitText(panel, "UTC")
	number := func() int {
		return evaluate[int](p.tab, "Number(document.querySelector('#statistics dd').textContent.replace(/\\D/g, ''))")
	}
	before := number()
	p.act(keyboard, made.ID, "Complete")
	eventually(t, func() error {
		if now := number(); now != before+1 {
			return fmt.Errorf("%d are completed today, want %d", now, before+1)
		}
		return nil
	})
	// A screen reader gets the chart as a table.
	p.await(panel.Matching("table", "UTC"))
	p.awaitCount(panel.Selector("tbody tr"), 30)
	p.inspect("statistics")
	p.do(p.SetViewport(600, 800))
	p.click(p.Element("button", "Statistics"))
	p.awaitText(panel, "Completed today")
	p.inspect("statistics, narrow")
}

func TestStatisticsThatAreAwayOrNonsenseCostTheChartAlone(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"away": abort,
		"busy": withCORS(problem(http.StatusServiceUnavailable, "busy")),
		"HTML": withCORS(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<h1>It works</h1>") }),
		"null": withCORS(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "null") }),
		"other types": withCORS(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"completed_total":"many","completed_today":{},"by_day":[null,7,{"day":"<b>","completed":-1}]}`)
		}),
		"no end": withCORS(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"completed_total":1,`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}),
		"huge": withCORS(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"completed_total":1,"completed_today":1,"by_day":[`+strings.Repeat(`{"day":"2026-01-01","completed":1},`, 100_000)+`{}]}`)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			p := prepared(t, func() { create(t, "Learn Go", 1) })
			p.expectBreak()
			p.expectStatus(http.StatusServiceUnavailable)
			p.expect(browser.ProblemConsole, "CORS")
			system.stats.inject(t, -1, `/stats`, answer)
			p.visit("/")
			p.awaitLive()
			p.awaitText(p.Element("complementary", "Statistics"), map[bool]string{true: "Loading", false: "The statistics"}[name == "no end"])
			if name == "away" || name == "other types" {
				p.inspect("statistics " + name)
			}
			p.write(keyboard, "Learn gRPC")
			awaitTask(t, "Learn gRPC", nil)
			p.awaitCount(p.Selector("li[data-id]"), 2)
		})
	}
}

// withCORS lets the page read an answer, as stats-service does.
func withCORS(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", system.todo.url())
		answer(w, r)
	}
}
