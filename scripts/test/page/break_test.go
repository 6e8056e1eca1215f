package page

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Changes that are made while the page hears nothing must all be there when it hears again.

func TestNothingIsMissedAcrossARestartOfTheServer(t *testing.T) {
	var kept, gone task
	p := arrive(t, func() { kept = create(t, "Learn Go", 5); gone = create(t, "Buy milk", 4) })
	p.expectBreak()
	second := p.openTab(t)
	second.visit("/")
	second.awaitLive()
	second.awaitQuiet()
	reads := system.todo.count(`^GET /tasks(\?|$)`)
	system.todo.cut() // so that the page cannot resume before the changes are made
	p.awaitConnection("reconnecting")
	change(t, kept.ID, map[string]any{"title": "Learn Go well", "done": true})
	stopPart(t, "todo-service")
	startPart(t, "todo-service")
	create(t, "Learn gRPC", 3)
	remove(t, gone.ID)
	p.inspect("reconnecting")
	system.todo.heal()
	for _, one := range []*tab{p.tab, second} {
		one.awaitLive()
		one.awaitTitles("Learn Go well", "Learn gRPC")
	}
	create(t, "Learn Kafka", 2)
	p.awaitTitles("Learn Go well", "Learn gRPC", "Learn Kafka")
	if n := system.todo.count(`^GET /tasks(\?|$)`) - reads; n != 0 {
		t.Errorf("two tabs read the list %d times after the break: they did not resume", n)
	}
}

// The page's own connection ends, as it does when a server stops.
func TestPageReconnectsByItselfWhenTheServerRestarts(t *testing.T) {
	p := arrive(t, func() { create(t, "Learn Go", 5) })
	p.expectBreak()
	p.expectStatus(http.StatusServiceUnavailable) // of a server that stops
	stopPart(t, "todo-service")
	p.awaitConnection("reconnecting")
	p.awaitText(p.Selector("[data-connection]"), "since")
	startPart(t, "todo-service")
	p.awaitLive()
	create(t, "Learn gRPC", 3)
	p.awaitTitles("Learn Go", "Learn gRPC")
}

func TestNothingIsMissedAcrossAFlushOfRedis(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 5) })
	for i := range 5 {
		flushRedis(t)
		change(t, made.ID, map[string]any{"title": fmt.Sprintf("Learn Go %d", i)})
		p.awaitTitles(fmt.Sprintf("Learn Go %d", i))
	}
	stopPart(t, "redis")
	change(t, made.ID, map[string]any{"done": true})
	startPart(t, "redis")
	p.awaitDone(made.ID, true)
}

func TestOfflineAndBack(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 5) })
	p.expectBreak()
	system.todo.cut()
	p.do(p.SetOffline(true))
	p.awaitConnection("offline")
	p.act(keyboard, made.ID, "Complete")
	p.awaitDone(made.ID, true) // what was meant is visible
	p.await(p.Selector("li[data-state='waiting']"))
	p.write(keyboard, "Learn gRPC")
	p.awaitTitles("Learn Go", "Learn gRPC")
	p.inspect("offline")
	create(t, "Buy milk", 0) // elsewhere
	system.todo.heal()
	p.do(p.SetOffline(false))
	p.awaitLive()
	p.awaitTitles("Learn Go", "Learn gRPC", "Buy milk")
	p.awaitNone(p.Selector("li[data-state]"))
	awaitTask(t, "Learn Go", func(one task) bool { return one.Done && one.Version == 2 })
	awaitTask(t, "Learn gRPC", nil)
	if n := len(list(t)); n != 3 {
		t.Errorf("there are %d tasks, want 3", n)
	}
}

// The response to a creation is lost: its repetition must not make a second task.
func TestLostResponseToACreationDoesNotMakeASecondTask(t *testing.T) {
	p := arrive(t)
	p.expectStatus(http.StatusBadGateway)
	lost := make(chan int, 1)
	system.todo.inject(t, 1, `^POST /tasks$`, func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		system.todo.forward.ServeHTTP(answer, r)
		lost <- answer.Code
		// Chromium itself repeats a request whose connection ends, so a gateway loses the response.
		http.Error(w, "<h1>Bad Gateway</h1>", http.StatusBadGateway)
	})
	p.write(keyboard, "Learn Go")
	if status := receive(t, lost, "the creation"); status != http.StatusCreated {
		t.Fatalf("the response that was lost had the status %d", status)
	}
	eventually(t, func() error {
		if n := system.todo.count(`^POST /tasks$`); n != 2 {
			return fmt.Errorf("%d requests for one task", n)
		}
		return nil
	})
	// The draft has become a task: the repetition was answered.
	p.await(p.Selector("li[data-id]:not([data-id^='draft'])"))
	p.awaitNone(p.Selector("li[data-state]"))
	p.awaitTitles("Learn Go")
	if n := len(list(t)); n != 1 {
		t.Errorf("there are %d tasks, want 1", n)
	}
}

func TestGoneLogReloadsTheList(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 5); create(t, "Buy milk", 4) })
	p.expectStatus(http.StatusGone)
	p.expectBreak()
	system.todo.cut()
	change(t, made.ID, map[string]any{"title": "Learn Go well"})
	system.todo.inject(t, 1, `^GET /events`, problem(http.StatusGone, "the position is gone"))
	reads := system.todo.count(`^GET /tasks(\?|$)`)
	system.todo.heal()
	p.awaitTitles("Learn Go well", "Buy milk")
	p.awaitLive()
	p.inspect("log gone")
	create(t, "Learn gRPC", 1)
	p.awaitTitles("Learn Go well", "Buy milk", "Learn gRPC")
	if n := system.todo.count(`^GET /tasks(\?|$)`); n != reads+1 {
		t.Errorf("the list was read %d times after the log had gone, want once", n-reads)
	}
}

func TestFirstConnectionIsNoReconnection(t *testing.T) {
	p := prepared(t, func() { create(t, "Learn Go", 5) })
	entered, release := system.todo.hold(t, `^GET /events`, system.todo.forward.ServeHTTP)
	p.visit("/")
	receive(t, entered, "the request for the events")
	p.awaitConnection("connecting")
	p.awaitText(p.Selector("[data-connection]"), "Connecting")
	p.inspect("connecting")
	release()
	p.awaitLive()
}

func TestRefusedStreamSaysWhyAndComesBack(t *testing.T) {
	for status, words := range map[int]string{429: "too many requests", 503: "busy"} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			p := arrive(t, func() { create(t, "Learn Go", 5) })
			p.expectBreak()
			p.expectStatus(status)
			release := system.todo.inject(t, -1, `^GET /events`, problem(status, words, "Retry-After", "3"))
			system.todo.drop()
			p.awaitConnection("reconnecting")
			p.awaitText(p.Selector("main"), words)
			p.awaitText(p.Selector("main"), "in 3 s") // as told
			p.inspect(fmt.Sprintf("stream refused with %d", status))
			release()
			create(t, "Learn gRPC", 1)
			p.awaitLive()
			p.awaitTitles("Learn Go", "Learn gRPC")
		})
	}
}

// Answers to changes.

func TestLimitedChangeWaitsAsTold(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 5) })
	p.expectStatus(http.StatusTooManyRequests)
	system.todo.inject(t, 1, `^PATCH`, problem(http.StatusTooManyRequests, "too many requests", "Retry-After", "5"))
	began := time.Now()
	p.act(keyboard, made.ID, "Complete")
	p.await(p.Selector("li[data-state='waiting']"))
	p.awaitDone(made.ID, true)
	p.awaitText(p.row(made.ID), "Not saved")
	p.awaitText(p.row(made.ID), "too many requests")
	p.inspect("limited")
	awaitTask(t, "Learn Go", func(one task) bool { return one.Done })
	if waited := time.Since(began); waited < 5*time.Second {
		t.Errorf("the change was repeated after %v, and the server said 5 s", waited)
	}
	if n := system.todo.count(`^PATCH`); n != 2 {
		t.Errorf("%d requests were sent, want 2", n)
	}
	p.awaitNone(p.Selector("li[data-state]"))
}

// Clients that were told to wait together must not come back together, and none before its time.
func TestClientsThatWereLimitedComeBackApart(t *testing.T) {
	for random, least := range map[float64]time.Duration{0: 4 * time.Second, 0.999: 4900 * time.Millisecond} {
		t.Run(fmt.Sprint(random), func(t *testing.T) {
			var made task
			p := arrive(t, func() { made = create(t, "Learn Go", 5) })
			p.expectStatus(http.StatusTooManyRequests)
			limited := make(chan time.Time, 1)
			system.todo.inject(t, 1, `^PATCH`, func(w http.ResponseWriter, r *http.Request) {
				limited <- time.Now()
				problem(http.StatusTooManyRequests, "too many requests", "Retry-After", "4")(w, r)
			})
			again, release := system.todo.hold(t, `^PATCH`, system.todo.forward.ServeHTTP)
			evaluate[bool](p.tab, fmt.Sprintf("(Math.random = () => %v, true)", random))
			p.act(keyboard, made.ID, "Complete")
			receive(t, again, "the change that is sent again")
			if waited := time.Since(receive(t, limited, "the first change")); waited < least {
				t.Errorf("the change was sent again after %v, want %v at least", waited, least)
			}
			release()
			awaitTask(t, "Learn Go", func(one task) bool { return one.Done })
			// The longest wait is bounded.
			longest := evaluate[float64](p.tab, `import(document.documentElement.dataset.assets + '/api.js').then(({ readRetryAfter }) =>
				Math.max(...[0, 1, 4, 60, 3600, 86400].map((s) => readRetryAfter(new Headers({ 'Retry-After': String(s) })) - Math.min(s, 3600) * 1000)))`)
			if longest > 5000 {
				t.Errorf("a wait is %.0f ms longer than told, want 5,000 at most", longest)
			}
		})
	}
}

func TestBusyServerIsTriedAgain(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 5) })
	p.expectStatus(http.StatusServiceUnavailable)
	release := system.todo.inject(t, -1, `^(PATCH|POST)`, problem(http.StatusServiceUnavailable, "overloaded", "Retry-After", "1"))
	p.act(keyboard, made.ID, "Rename")
	p.await(p.row(made.ID).Element("textbox", "Title"))
	p.do(p.InsertText("Learn Go well"))
	p.do(p.Press("\r"))
	p.write(keyboard, "Learn gRPC")
	p.awaitText(p.row(made.ID), "busy")
	p.awaitText(p.row(made.ID), "Trying again in")
	p.awaitTitles("Learn Go well", "Learn gRPC")
	p.inspect("busy")
	eventually(t, func() error {
		if n := system.todo.count(`^PATCH`); n < 3 {
			return fmt.Errorf("the change was sent %d times", n)
		}
		return nil
	})
	release()
	awaitTask(t, "Learn Go well", nil)
	awaitTask(t, "Learn gRPC", nil)
	p.awaitNone(p.Selector("li[data-state]"))
}

// changeUnseen changes a task elsewhere, which the page does not hear of until hear is called.
func changeUnseen(p *person, id int64, fields map[string]any) (hear func()) {
	p.t.Helper()
	p.expectBreak()
	p.expectStatus(http.StatusServiceUnavailable)
	p.expectStatus(http.StatusPreconditionFailed)
	hear = system.todo.inject(p.t, -1, `^GET /events`, problem(http.StatusServiceUnavailable, "busy", "Retry-After", "1"))
	system.todo.drop()
	p.awaitConnection("reconnecting")
	change(p.t, id, fields)
	return hear
}

func TestChangeOfAnOldVersionShowsBothStatesAndAsks(t *testing.T) {
	for answer, done := range map[string]bool{"Keep mine": true, "Take theirs": false} {
		t.Run(answer, func(t *testing.T) {
			var made task
			p := arrive(t, func() { made = create(t, "Learn Go", 5) })
			hear := changeUnseen(p, made.ID, map[string]any{"title": "Learn Go well"})
			p.act(keyboard, made.ID, "Complete")
			p.await(p.Selector("li[data-state='conflict']"))
			hear()
			p.awaitText(p.row(made.ID), "Learn Go well")
			p.inspect("changed meanwhile")
			p.awaitLive()
			p.click(p.row(made.ID).Element("button", answer))
			p.awaitNone(p.Selector("li[data-state]"))
			p.awaitDone(made.ID, done)
			awaitTask(t, "Learn Go well", func(one task) bool { return one.Done == done })
		})
	}
}

// Nothing that was meant differs from what is: there is nothing to ask.
func TestConflictOfEqualChangesIsNone(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 5) })
	hear := changeUnseen(p, made.ID, map[string]any{"done": true})
	p.act(keyboard, made.ID, "Complete")
	p.awaitDone(made.ID, true)
	p.awaitNone(p.Selector("li[data-state]"))
	hear()
	p.awaitLive()
	create(t, "Learn gRPC", 1) // its event follows that of the change
	p.awaitTitles("Learn Go", "Learn gRPC")
	p.awaitNone(p.Selector("li[data-state]"))
	p.awaitDone(made.ID, true)
	if n := system.todo.count(`^PATCH`); n != 1 {
		t.Errorf("%d requests were sent, want 1", n)
	}
}

func TestDeletionOfAnOldVersionIsAsked(t *testing.T) {
	for answer, kept := range map[string]bool{"Delete it anyway": false, "Keep it": true} {
		t.Run(answer, func(t *testing.T) {
			var made task
			p := arrive(t, func() { made = create(t, "Learn Go", 5) })
			p.act(keyboard, made.ID, "Delete")
			conflictAtDeletion(p, made.ID)
			p.inspect("deleted meanwhile changed")
			p.click(p.row(made.ID).Element("button", answer))
			if kept {
				p.awaitTitles("Learn Go well")
				awaitTask(t, "Learn Go well", nil)
			} else {
				p.awaitTitles()
				awaitGone(t, "Learn Go well")
			}
		})
	}
}

// Without the event of the change, its version comes from the server.
func TestDeletionOfAnOldVersionIsMadeWithoutItsEvent(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 5) })
	changeUnseen(p, made.ID, map[string]any{"title": "Learn Go well"})
	p.act(keyboard, made.ID, "Delete")
	p.await(p.Selector("li[data-state='conflict']"))
	p.awaitTitles("Learn Go well")
	p.click(p.row(made.ID).Element("button", "Delete it anyway"))
	p.awaitTitles()
	awaitGone(t, "Learn Go well")
	if n := system.todo.count(`^DELETE`); n != 2 {
		t.Errorf("%d deletions were sent, want 2", n)
	}
}

func TestDeletionOfATaskThatLeftTheListIsGivenUp(t *testing.T) {
	var made task
	p := prepared(t, func() { made = create(t, "Learn Go", 5) })
	p.visit("/?done=false")
	p.awaitLive()
	p.awaitQuiet()
	hear := changeUnseen(p, made.ID, map[string]any{"done": true})
	p.act(keyboard, made.ID, "Delete")
	p.awaitTitles()
	p.awaitText(p.Selector("[role=status]"), "not in this list any more")
	// It can be deleted again, where it is listed.
	hear()
	p.awaitLive()
	p.click(p.Matching("link", "^All"))
	p.awaitTitles("Learn Go")
	p.act(keyboard, made.ID, "Delete")
	p.awaitTitles()
	awaitGone(t, "Learn Go")
}

// conflictAtDeletion changes a task during the time for undo.
func conflictAtDeletion(p *person, id int64) {
	p.t.Helper()
	p.expectStatus(http.StatusPreconditionFailed)
	change(p.t, id, map[string]any{"title": "Learn Go well"})
	p.await(p.Selector("li[data-state='conflict']"))
}

func TestRefusedTitleStaysInItsField(t *testing.T) {
	p := arrive(t)
	long := strings.Repeat("x", 501)
	p.do(p.Press("n"))
	p.do(p.InsertText(long))
	p.do(p.Press("\r"))
	p.awaitText(p.Selector("main"), "500")
	p.inspect("title refused")
	if text := evaluate[string](p.tab, "document.querySelector('#new-title').value"); text != long {
		t.Errorf("the field has %d characters", len(text))
	}
	if n := len(list(t)); n != 0 {
		t.Errorf("there are %d tasks", n)
	}
}

// The server has the last word about a title.
func TestTitleThatTheServerRefusesIsNotLost(t *testing.T) {
	p := arrive(t)
	p.expectStatus(http.StatusUnprocessableEntity)
	system.todo.inject(t, 1, `^POST /tasks$`, problem(http.StatusUnprocessableEntity, "title must contain something visible"))
	p.write(keyboard, "Learn Go")
	p.awaitText(p.Selector("main"), "title must contain something visible")
	p.inspect("title refused by the server")
	if text := evaluate[string](p.tab, "document.querySelector('#new-title').value"); text != "Learn Go" {
		t.Errorf("the field has %q", text)
	}
}

func TestTaskThatWasDeletedElsewhereIsNotLost(t *testing.T) {
	var made task
	p := arrive(t, func() { made = create(t, "Learn Go", 5) })
	p.act(keyboard, made.ID, "Rename")
	field := p.row(made.ID).Element("textbox", "Title")
	p.await(field)
	p.do(p.InsertText("Learn Go well"))
	remove(t, made.ID)
	p.awaitText(p.row(made.ID), "Deleted elsewhere")
	p.inspect("deleted elsewhere")
	p.do(p.Press("\r"))
	p.click(p.Element("button", "Add it again"))
	p.awaitTitles("Learn Go well")
	awaitTask(t, "Learn Go well", nil)
}

func TestTypedTextSurvivesAReload(t *testing.T) {
	p := arrive(t)
	p.do(p.Press("n"))
	p.do(p.InsertText("Learn Go"))
	p.do(p.Reload())
	p.awaitLive()
	if text := evaluate[string](p.tab, "document.querySelector('#new-title').value"); text != "Learn Go" {
		t.Errorf("the field has %q", text)
	}
}

func TestListThatCannotBeReadIsTriedAgainAndTheOldOneStays(t *testing.T) {
	p := arrive(t, func() { create(t, "Learn Go", 5); create(t, "Buy milk", 4) })
	p.expectStatus(http.StatusServiceUnavailable)
	system.todo.inject(t, 2, `^GET /tasks\?.*q=`, problem(http.StatusServiceUnavailable, "overloaded", "Retry-After", "1"))
	p.do(p.Press("/"))
	p.do(p.Press("milk"))
	p.awaitText(p.Selector("main"), "could not be loaded")
	p.awaitTitles("Learn Go", "Buy milk")
	p.inspect("list not loaded")
	p.awaitTitles("Buy milk")
}
