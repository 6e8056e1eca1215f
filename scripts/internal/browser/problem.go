package browser

import (
	"fmt"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
)

// ProblemKind says what a page did wrong.
type ProblemKind string

// The kinds of problems.
const (
	ProblemConsole   ProblemKind = "console"   // an error or a warning on the console
	ProblemException ProblemKind = "exception" // an exception that no code caught
	ProblemPolicy    ProblemKind = "policy"    // a violation of the Content-Security-Policy, Trusted Types included
	ProblemRequest   ProblemKind = "request"   // a request that failed or was answered with a status of 400 and above
	ProblemDialog    ProblemKind = "dialog"    // alert, confirm, prompt
	ProblemCrash     ProblemKind = "crash"     // the renderer ended
)

// Problem is something that a page or one of its workers did wrong.
type Problem struct {
	Kind ProblemKind
	Text string
	URL  string
}

func (p Problem) String() string { return fmt.Sprintf("%s: %s %s", p.Kind, p.Text, p.URL) }

// Problems returns what went wrong since the last call, of all tabs and workers, and forgets it.
func (p *Profile) Problems() []Problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := p.problems
	p.problems = nil
	return found
}

func (p *Profile) add(problem Problem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, problem)
}

// record collects the problems among the events of a tab or a worker.
func (p *Profile) record(ev any) {
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		text := ev.ExceptionDetails.Text
		if ev.ExceptionDetails.Exception != nil {
			text += " " + ev.ExceptionDetails.Exception.Description
		}
		p.add(Problem{Kind: ProblemException, Text: text, URL: ev.ExceptionDetails.URL})
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeWarning || ev.Type == runtime.ConsoleAPICalledTypeAssert {
			p.add(Problem{Kind: ProblemConsole, Text: describe(ev.Args)})
		}
	case *log.EventEntryAdded:
		p.recordEntry(ev.Entry)
	case *audits.EventIssueAdded:
		if csp := ev.Issue.Details.ContentSecurityPolicyIssueDetails; csp != nil {
			p.add(Problem{Kind: ProblemPolicy, Text: csp.ViolatedDirective, URL: csp.BlockedURL})
		}
	case *inspector.EventTargetCrashed:
		p.add(Problem{Kind: ProblemCrash})
	}
}

func (p *Profile) recordEntry(entry *log.Entry) {
	if entry.Level != log.EntryLevelError && entry.Level != log.EntryLevelWarning {
		return
	}
	kind := ProblemConsole
	switch entry.Source {
	case log.EntrySourceNetwork:
		kind = ProblemRequest
	case log.EntrySourceSecurity:
		kind = ProblemPolicy
	}
	p.add(Problem{Kind: kind, Text: entry.Text, URL: entry.URL})
}

func describe(args []*runtime.RemoteObject) (text string) {
	for _, arg := range args {
		if arg.Description != "" {
			text += arg.Description + " "
		} else {
			text += string(arg.Value) + " "
		}
	}
	return text
}
