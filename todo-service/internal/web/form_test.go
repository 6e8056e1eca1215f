package web_test

import (
	"net/http"
	"net/url"
	"testing"

	"golang.org/x/net/html"
)

// press sends the form of a button as a browser without a script does: with the fields of
// the form, of which typed has the ones that were filled in, and with the button's own value.
func (f *fixture) press(t testing.TB, root, button *html.Node, typed url.Values) response {
	t.Helper()
	form := formOf(t, root, button)
	fields := url.Values{}
	for _, field := range elements(root, func(n *html.Node) bool { return has(n, "name") && n.Data != "button" && n.Data != "meta" }) {
		if formOf(t, root, field) == form {
			fields.Set(attribute(field, "name"), value(field))
		}
	}
	for name, values := range typed {
		if !fields.Has(name) {
			t.Fatalf("the form has no field %q", name)
		}
		fields[name] = values
	}
	if has(button, "name") {
		fields.Set(attribute(button, "name"), attribute(button, "value"))
	}
	action := attribute(form, "action")
	if has(button, "formaction") {
		action = attribute(button, "formaction")
	}
	if attribute(form, "method") == "post" {
		return f.post(action, fields, append([]string{"Origin", "http://localhost:8080", "Sec-Fetch-Site", "same-origin"}, f.header...)...)
	}
	return f.request(http.MethodGet, action+"?"+fields.Encode())
}

// formOf returns the form to which a control belongs.
func formOf(t testing.TB, root, control *html.Node) *html.Node {
	t.Helper()
	if id := attribute(control, "form"); id != "" {
		return element(t, root, id)
	}
	for parent := range control.Ancestors() {
		if parent.Data == "form" {
			return parent
		}
	}
	t.Fatalf("the control %s %q is in no form", control.Data, attribute(control, "id"))
	return nil
}

// value returns the value of an input, or of the selected option, which is the first one
// unless another is marked.
func value(field *html.Node) string {
	if field.Data != "select" {
		return attribute(field, "value")
	}
	options := elements(field, func(n *html.Node) bool { return n.Data == "option" })
	for _, option := range options {
		if has(option, "selected") {
			return attribute(option, "value")
		}
	}
	return attribute(options[0], "value")
}

// button returns the only button with a text inside root.
func button(t testing.TB, root *html.Node, name string) *html.Node {
	t.Helper()
	found := elements(root, func(n *html.Node) bool { return n.Data == "button" && text(n) == name })
	if len(found) != 1 {
		t.Fatalf("%d buttons are named %q", len(found), name)
	}
	return found[0]
}

// link returns the only link with a text inside root.
func link(t testing.TB, root *html.Node, name string) *html.Node {
	t.Helper()
	found := elements(root, func(n *html.Node) bool { return n.Data == "a" && text(n) == name })
	if len(found) != 1 {
		t.Fatalf("%d links are named %q", len(found), name)
	}
	return found[0]
}

// checkbox returns the checkbox of the task with a title.
func checkbox(t testing.TB, root *html.Node, title string) *html.Node {
	t.Helper()
	for _, box := range elements(root, func(n *html.Node) bool { return attribute(n, "role") == "checkbox" }) {
		if text(element(t, root, attribute(box, "aria-labelledby"))) == title {
			return box
		}
	}
	t.Fatalf("no checkbox is named %q", title)
	return nil
}

// wantRedirect wants a 303 and returns where it leads.
func wantRedirect(t testing.TB, got response) string {
	t.Helper()
	if got.Status != http.StatusSeeOther {
		t.Fatalf("the status is %d, want 303: %s", got.Status, got.Body)
	}
	return got.Header.Get("Location")
}
