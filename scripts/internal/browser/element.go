package browser

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// objectGroup names the references to nodes, which are released together.
const objectGroup = "elements"

// ErrNotReady means that an element cannot be used, perhaps not yet: none or several match, or it is covered or moves.
var ErrNotReady = errors.New("the element cannot be used")

// errAbsent is the ErrNotReady of an element that is not there.
var errAbsent = fmt.Errorf("%w: 0 elements", ErrNotReady)

// Element describes an element by what a person perceives. It is looked up anew for each use.
type Element struct {
	tab      *Tab
	within   *Element
	selector string         // a CSS selector; if it is "", role and name describe the element
	role     string         // of ARIA, such as button
	name     string         // the exact accessible name
	pattern  *regexp.Regexp // if it is set, the accessible name must match it instead
}

// Element describes the element with a role and an accessible name.
func (t *Tab) Element(role, name string) *Element { return &Element{tab: t, role: role, name: name} }

// Matching describes the element with a role whose accessible name matches a pattern.
func (t *Tab) Matching(role, pattern string) *Element {
	return &Element{tab: t, role: role, pattern: regexp.MustCompile(pattern)}
}

// Selector describes an element by a CSS selector.
func (t *Tab) Selector(css string) *Element { return &Element{tab: t, selector: css} }

// Element describes an element within e.
func (e *Element) Element(role, name string) *Element {
	return &Element{tab: e.tab, within: e, role: role, name: name}
}

// Matching describes an element within e whose accessible name matches a pattern.
func (e *Element) Matching(role, pattern string) *Element {
	return &Element{tab: e.tab, within: e, role: role, pattern: regexp.MustCompile(pattern)}
}

// Selector describes an element within e by a CSS selector.
func (e *Element) Selector(css string) *Element {
	return &Element{tab: e.tab, within: e, selector: css}
}

func (e *Element) String() string {
	text := e.selector
	switch {
	case e.selector != "":
	case e.pattern != nil:
		text = fmt.Sprintf("%s matching %q", e.role, e.pattern)
	default:
		text = fmt.Sprintf("%s %q", e.role, e.name)
	}
	if e.within != nil {
		return text + " in " + e.within.String()
	}
	return text
}

// Count returns the number of elements that match.
func (e *Element) Count() (int, error) {
	defer e.release()
	root, err := e.root()
	if errors.Is(err, errAbsent) {
		return 0, nil // what it is within is not there
	}
	if err != nil {
		return 0, err
	}
	if e.selector != "" {
		count, err := e.tab.callFunction(root, "function(css) { return this.querySelectorAll(css).length; }", e.selector)
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(string(count.Value))
	}
	found, err := e.find(root)
	return len(found), err
}

// Call calls a JavaScript function with the element as this, and returns its result.
func Call[T any](e *Element, function string, args ...any) (T, error) {
	var zero T
	defer e.release()
	object, err := e.resolve()
	if err != nil {
		return zero, err
	}
	on := func(p *runtime.CallFunctionOnParams) { p.ObjectID, p.AwaitPromise = object, new(true) }
	value, err := runOn(e.tab, chromedp.CallFunctionOn[T](function, on, args...))
	if err != nil {
		return zero, fmt.Errorf("%s: %w", e, err)
	}
	return value, nil
}

// resolve returns a reference to the one element that matches.
func (e *Element) resolve() (runtime.RemoteObjectID, error) {
	root, err := e.root()
	if err != nil {
		return "", err
	}
	found, err := e.find(root)
	if err != nil {
		return "", err
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%w are %s", errAbsent, e)
	case 1:
		return found[0], nil
	default:
		return "", fmt.Errorf("%w: %d elements are %s", ErrNotReady, len(found), e)
	}
}

func (e *Element) root() (runtime.RemoteObjectID, error) {
	if e.within != nil {
		return e.within.resolve()
	}
	document, err := callOn(e.tab, runtime.Evaluate, runtime.EvaluateParams{Expression: "document", ObjectGroup: objectGroup})
	if err != nil {
		return "", err
	}
	return document.Result.ObjectID, nil
}

// find returns references to the matching elements below root.
func (e *Element) find(root runtime.RemoteObjectID) ([]runtime.RemoteObjectID, error) {
	if e.selector != "" {
		return e.findSelector(root)
	}
	query := accessibility.QueryAXTreeParams{ObjectID: root, Role: e.role}
	if e.pattern == nil {
		query.AccessibleName = e.name
	}
	result, err := callOn(e.tab, accessibility.QueryAXTree, query)
	if err != nil {
		return nil, err
	}
	var found []runtime.RemoteObjectID
	for _, node := range result.Nodes {
		if node.Ignored || e.pattern != nil && !e.pattern.MatchString(textOf(node.Name)) {
			continue
		}
		resolved, err := callOn(e.tab, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: node.BackendDOMNodeID, ObjectGroup: objectGroup})
		if err != nil {
			if isGone(err) {
				continue
			}
			return nil, err
		}
		found = append(found, resolved.Object.ObjectID)
	}
	return found, nil
}

// findSelector returns references to the first two matching elements: the second one shows that there are several.
func (e *Element) findSelector(root runtime.RemoteObjectID) (found []runtime.RemoteObjectID, err error) {
	for i := range 2 {
		object, err := e.tab.callFunction(root, "function(css, i) { return this.querySelectorAll(css)[i] ?? null; }", e.selector, i)
		if err != nil {
			return nil, err
		}
		if object.ObjectID == "" {
			break
		}
		found = append(found, object.ObjectID)
	}
	return found, nil
}

// callFunction calls a JavaScript function with an object as this.
func (t *Tab) callFunction(object runtime.RemoteObjectID, function string, args ...any) (*runtime.RemoteObject, error) {
	params := runtime.CallFunctionOnParams{FunctionDeclaration: function, ObjectID: object, ObjectGroup: objectGroup}
	for _, arg := range args {
		value, err := json.Marshal(arg)
		if err != nil {
			return nil, err
		}
		params.Arguments = append(params.Arguments, &runtime.CallArgument{Value: value})
	}
	result, err := callOn(t, runtime.CallFunctionOn, params)
	if err != nil {
		return nil, err
	}
	if result.ExceptionDetails != nil {
		return nil, fmt.Errorf("%.80q: %s", function, result.ExceptionDetails.Text)
	}
	return result.Result, nil
}

// release lets the page free the nodes that were referred to.
func (e *Element) release() {
	_, _ = callOn(e.tab, runtime.ReleaseObjectGroup, runtime.ReleaseObjectGroupParams{ObjectGroup: objectGroup})
}

// isGone reports whether the page removed the node between two commands.
func isGone(err error) bool {
	var refused *cdproto.Error
	return errors.As(err, &refused)
}

func textOf(value *accessibility.Value) (text string) {
	if value != nil {
		_ = json.Unmarshal(value.Value, &text) // another type than text matches nothing
	}
	return text
}
