package browser

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"

	"github.com/chromedp/cdproto/cdp"
)

// Violation is a rule of accessibility that a page breaks.
type Violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML           string `json:"html"`
		Target         []any  `json:"target"`
		FailureSummary string `json:"failureSummary"`
	} `json:"nodes"`
}

func (v Violation) String() string {
	text := fmt.Sprintf("%s (%s): %s", v.ID, v.Impact, v.Help)
	for _, node := range v.Nodes {
		text += fmt.Sprintf("\n\t%.200s\n\t\t%s", node.HTML, strings.ReplaceAll(node.FailureSummary, "\n", " "))
	}
	return text
}

// Audit runs axe-core, whose script is given, on what the tab shows now. It runs beside the page, in a world of its
// own, so that the page's Content-Security-Policy and Trusted Types stay as they are.
func (t *Tab) Audit(script string) (found []Violation, err error) {
	if t.plain {
		// axe-core waits for timers, which need scripts. Those of the document are not run later.
		if err := t.forbidScript(false); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, t.forbidScript(true)) }()
	}
	tree, err := callOn(t, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return nil, err
	}
	world, err := callOn(t, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: tree.FrameTree.Frame.ID, WorldName: "axe"})
	if err != nil {
		return nil, err
	}
	evaluate := func(expression string) (*runtime.RemoteObject, error) {
		result, err := callOn(t, runtime.Evaluate, runtime.EvaluateParams{
			Expression: expression, ContextID: world.ExecutionContextID, AwaitPromise: new(true), ReturnByValue: new(true),
		})
		if err != nil {
			return nil, fmt.Errorf("axe: %w", err)
		}
		if result.ExceptionDetails != nil {
			return nil, fmt.Errorf("axe: %s %v", result.ExceptionDetails.Text, result.ExceptionDetails.Exception.Description)
		}
		return result.Result, nil
	}
	if _, err := evaluate(script + "; true"); err != nil {
		return nil, err
	}
	result, err := evaluate("axe.run(document, { resultTypes: ['violations'] }).then((r) => ({ violations: r.violations, passes: r.passes.length }))")
	if err != nil {
		return nil, err
	}
	var report struct {
		Violations []Violation `json:"violations"`
		Passes     int         `json:"passes"`
	}
	if err := json.Unmarshal(result.Value, &report); err != nil {
		return nil, fmt.Errorf("axe: %w", err)
	}
	if report.Passes == 0 {
		return nil, errors.New("axe: no rule was applied")
	}
	return report.Violations, nil
}
