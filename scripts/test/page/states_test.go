package page

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

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

// The document has its rows before the script runs, and the header has its height.
func TestFirstLoadHasItsRowsBeforeTheScript(t *testing.T) {
	for _, h := range []hand{mouse, touch} {
		t.Run(string(h), func(t *testing.T) {
			p := prepared(t, func() { create(t, "Learn Go", 1) })
			p.do(p.SetTouch(h == touch))
			entered, release := system.todo.hold(t, `^GET /assets/.*/main\.js$`, system.todo.forward.ServeHTTP)
			done := make(chan error, 1)
			go func() { done <- p.Navigate(system.todo.url()) }()
			receive(t, entered, "the request for the script")
			p.awaitTitles("Learn Go")
			p.inspect("first load, " + string(h))
			heights := func() (all []float64) {
				for _, width := range []int64{320, 412, 1280} {
					p.do(p.SetViewport(width, 800))
					p.do(p.SetTouch(h == touch)) // the window's metrics end it
					all = append(all, evaluate[float64](p.tab, "document.querySelector('header').getBoundingClientRect().height"))
				}
				return all
			}
			before := heights()
			release()
			p.do(receive(t, done, "the load of the document"))
			p.awaitLive()
			p.awaitTitles("Learn Go")
			if after := heights(); !slices.Equal(before, after) {
				t.Errorf("the script changed the heights of the header from %v to %v", before, after)
			}
		})
	}
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
	p := arrive(t, func() { made = create(t, "Learn Go", 1); awaitStatistics(t) })
	panel := p.Element("complementary", "Statistics")
	p.awaitText(panel, "Completed today")
	p.awaitText(panel, "UTC")
	// The day may end meanwhile, so the completions are counted from the day before the change on.
	type numbers struct{ Today, Total, Last, Since int }
	var first string
	read := func() numbers {
		return evaluate[numbers](p.tab, fmt.Sprintf(`(() => {
			const number = (text) => Number(text.replace(/\D/g, ''));
			const [today, total] = [...document.querySelectorAll('#statistics dd')].map((e) => number(e.textContent));
			const days = [...document.querySelectorAll('#statistics tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent));
			const since = days.filter(([day]) => day >= '%s').reduce((sum, [, completed]) => sum + number(completed), 0);
			return { Today: today, Total: total, Last: number(days.at(-1)[1]), Since: since };
		})()`, first))
	}
	first = evaluate[string](p.tab, "document.querySelector('#statistics tbody tr:last-child td').textContent")
	before := read()
	p.act(keyboard, made.ID, "Complete")
	eventually(t, func() error {
		if now := read(); now.Total != before.Total+1 || now.Since != before.Since+1 || now.Today != now.Last {
			return fmt.Errorf("the statistics are %+v after one completion, were %+v", now, before)
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

// awaitStatistics waits until stats-service has counted what earlier tests completed.
func awaitStatistics(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		var completed, counted int
		if err := database(t).QueryRow("SELECT count(*) FROM events WHERE type = 'task.completed'").Scan(&completed); err != nil {
			return err
		}
		text, err := get(system.stats.url() + "/stats")
		if err != nil {
			return err
		}
		_, err = fmt.Sscanf(string(text), `{"completed_total":%d,`, &counted)
		if err == nil && counted != completed {
			err = fmt.Errorf("%d of %d completions are counted", counted, completed)
		}
		return err
	})
}

func TestStatisticsFollowTheEndOfTheDay(t *testing.T) {
	report := func(day string, completed int) http.HandlerFunc {
		return withCORS(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"completed_total":7,"completed_today":%[1]d,"by_day":[{"day":%[2]q,"completed":%[1]d}],"complete":true}`, completed, day)
		})
	}
	p := prepared(t, func() { create(t, "Learn Go", 1) })
	entered, release := system.stats.hold(t, `/stats`, report("2026-01-15", 3))
	system.stats.inject(t, -1, `/stats`, report("2026-01-16", 0))
	p.visit("/")
	receive(t, entered, "the request for the statistics")
	p.setClock(time.Date(2026, 1, 15, 23, 59, 40, 0, time.UTC)) // so long before, that a busy machine shows the day first
	release()
	today := p.Selector("#statistics div:first-child > dd")
	p.awaitText(today, "3")
	p.awaitText(today, "0")
	p.awaitText(p.Element("complementary", "Statistics"), "16 Jan")
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
