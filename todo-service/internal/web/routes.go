package web

import "net/http"

// handler writes the response to a request for the page.
type handler = func(*page, http.ResponseWriter, *http.Request)

// routes are the routes of the page.
var routes = []struct {
	pattern     string // of http.ServeMux
	handle      handler
	needsSignIn bool // the route is there only with sign-in
}{
	{"GET /{$}", forUser((*page).showTasks), false},
	{"GET /assets/{hash}/{name}", (*page).serveAsset, false},
	{"GET /favicon.ico", (*page).redirectToIcon, false},
	{"POST /page/tasks", changeTasks((*page).addTask), false},
	{"POST /page/tasks/{id}", changeTasks((*page).editTask), false},
	{"POST /page/tasks/{id}/complete", changeTasks((*page).completeTask), false},
	{"POST /page/tasks/{id}/reopen", changeTasks((*page).reopenTask), false},
	{"POST /page/tasks/{id}/delete", changeTasks((*page).deleteTask), false},
	{"POST /page/sign-in", (*page).signIn, true},
	{"GET /page/sign-up", (*page).showSignUp, true},
	{"POST /page/sign-up", (*page).signUp, true},
	{"POST /page/sign-out", (*page).signOut, true},
	{"GET /page/account", forUser((*page).showAccount), true},
	{"POST /page/account/password", changeAccount((*page).changePassword), true},
	{"POST /page/account/sessions/{id}/end", changeAccount((*page).endOneSession), true},
	{"POST /page/account/sessions/end", changeAccount((*page).signOutEverywhere), true},
	{"GET /page/", (*page).showListInstead, false},
}

// Routes returns the patterns of the routes, in the syntax of http.ServeMux, with those of
// sign-in.
func Routes() []string {
	patterns := make([]string, len(routes))
	for i, route := range routes {
		patterns[i] = route.pattern
	}
	return patterns
}

func (p *page) serveAsset(w http.ResponseWriter, r *http.Request) { p.assets.serve(w, r) }

// redirectToIcon answers where a browser looks for an icon that no document names, as for
// /openapi.yaml.
func (p *page) redirectToIcon(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, p.assets.root+"/icon.svg", http.StatusFound)
}

// showListInstead answers a reload of the address of a form.
func (p *page) showListInstead(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
