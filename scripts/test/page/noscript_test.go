package page

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// arriveWithoutScript opens the page in a browser that runs no script.
func arriveWithoutScript(t *testing.T, prepare ...func()) *person {
	t.Helper()
	p := prepared(t, prepare...)
	p.do(p.DisableScript())
	p.plain = true
	p.visit("/")
	return p
}

func TestTasksAreAddedCompletedReopenedAndDeletedWithoutScript(t *testing.T) {
	p := arriveWithoutScript(t)
	p.awaitText(p.Selector("main"), "Nothing to do")
	p.inspect("no script, empty")
	p.do(p.Element("textbox", "New task").Focus())
	p.do(p.Press("Learn Go" + kb.Enter))
	made := awaitTask(t, "Learn Go", nil)
	p.awaitTitles("Learn Go")
	p.inspect("no script")
	p.click(p.check("Learn Go"))
	p.awaitDone(made.ID, true)
	awaitTask(t, "Learn Go", func(one task) bool { return one.Done })
	p.click(p.check("Learn Go"))
	p.awaitDone(made.ID, false)
	p.click(p.row(made.ID).Element("button", "Delete"))
	p.awaitTitles()
	awaitGone(t, "Learn Go")
}

func TestPriorityOfANewTaskIsChosenWithoutScript(t *testing.T) {
	p := arriveWithoutScript(t)
	p.do(p.Element("textbox", "New task").Focus())
	p.do(p.Press("Learn Go" + kb.Tab + "urgent"))
	p.click(p.Element("button", "Add"))
	p.awaitTitles("Learn Go")
	if made := awaitTask(t, "Learn Go", nil); made.Priority < 67 {
		t.Errorf("the urgent task has priority %d", made.Priority)
	}
}

func TestListIsFilteredSortedAndSearchedWithoutScript(t *testing.T) {
	p := arriveWithoutScript(t, func() {
		create(t, "Low", 0)
		done := create(t, "Done", 50)
		change(t, done.ID, map[string]any{"done": true})
		create(t, "High", 90)
	})
	p.awaitTitles("High", "Done", "Low")
	eventually(t, func() error { // counts may be a second old
		p.visit("/")
		n, err := p.Matching("link", `^Open\s+2$`).Count()
		if err == nil && n != 1 {
			err = fmt.Errorf("no link counts two open tasks")
		}
		return err
	})
	p.click(p.Matching("link", `^Open\b`))
	p.awaitTitles("High", "Low")
	p.click(p.Matching("link", `^Done\b`))
	p.awaitTitles("Done")
	p.click(p.Matching("link", `^All\b`))
	p.awaitTitles("High", "Done", "Low")
	p.do(p.Element("combobox", "Sort").Focus())
	p.do(p.Press("oldest"))
	p.click(p.Element("button", "Apply"))
	p.awaitTitles("Low", "Done", "High")
	p.do(p.Element("searchbox", "Search tasks").Focus())
	p.do(p.Press("hig" + kb.Enter))
	p.awaitTitles("High")
	p.visit("/?q=nothing")
	p.awaitTitles()
	p.inspect("no script, nothing found")
}

func TestPagesAreTurnedWithoutScript(t *testing.T) {
	p := arriveWithoutScript(t, func() { fillTasks(t, 1100) })
	p.awaitCount(p.Selector("li[data-id]"), 1000)
	p.click(p.Element("link", "Next page"))
	p.awaitCount(p.Selector("li[data-id]"), 100)
}

func TestRefusedTitleIsKeptWithoutScript(t *testing.T) {
	p := arriveWithoutScript(t)
	p.expectStatus(http.StatusUnprocessableEntity)
	p.do(p.Element("textbox", "New task").Focus())
	p.do(p.InsertText("   ")) // a browser refuses an empty field, not one with spaces
	p.do(p.Press(kb.Enter))
	p.await(p.Selector("[aria-invalid='true']"))
	p.inspect("no script, title refused")
	if text := evaluate[string](p.tab, "document.querySelector('#new-title').value"); text != "   " {
		t.Errorf("the field has %q, want what was typed", text)
	}
	if n := len(list(t)); n != 0 {
		t.Errorf("there are %d tasks", n)
	}
}

func TestChangeOfAnOldVersionIsRefusedWithoutScript(t *testing.T) {
	var made task
	p := arriveWithoutScript(t, func() { made = create(t, "Learn Go", 1) })
	p.expectStatus(http.StatusPreconditionFailed)
	change(t, made.ID, map[string]any{"title": "Learn Go well"})
	p.click(p.check("Learn Go"))
	p.awaitText(p.Selector("section.failure"), "changed meanwhile")
	p.inspect("no script, changed meanwhile")
	if now, _ := findTask(t, "Learn Go well"); now.Done {
		t.Error("the task was completed from an old version of it")
	}
}

// Another site must not change tasks through a visitor's browser.
func TestForgedPostsAreRefused(t *testing.T) {
	prepared(t)
	form := url.Values{"title": {"forged"}, "priority": {"1"}}.Encode()
	for name, headers := range map[string]map[string]string{
		"another origin":             {"Origin": "https://evil.example"},
		"another site, by the fetch": {"Sec-Fetch-Site": "cross-site"},
		"another port":               {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
		"an origin without a name":   {"Origin": "null"},
	} {
		req, err := http.NewRequest(http.MethodPost, system.todo.url()+"/page/tasks", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for key, value := range headers {
			req.Header.Set(key, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("a post of %s: %s", name, resp.Status)
		}
	}
	if _, ok := findTask(t, "forged"); ok {
		t.Error("a forged post has made a task")
	}
}
