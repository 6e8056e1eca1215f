package web

import "net/http"

// routes are the routes of the page.
var routes = []struct {
	pattern string // of http.ServeMux
	handle  func(*page, http.ResponseWriter, *http.Request)
}{
	{"GET /{$}", (*page).showTasks},
	{"GET /assets/{hash}/{name}", (*page).serveAsset},
	{"GET /favicon.ico", (*page).redirectToIcon},
	{"POST /page/tasks", changeTasks((*page).addTask)},
	{"POST /page/tasks/{id}", changeTasks((*page).editTask)},
	{"POST /page/tasks/{id}/complete", changeTasks((*page).completeTask)},
	{"POST /page/tasks/{id}/reopen", changeTasks((*page).reopenTask)},
	{"POST /page/tasks/{id}/delete", changeTasks((*page).deleteTask)},
	{"GET /page/", (*page).showListInstead},
}

// Routes returns the patterns of the routes, in the syntax of http.ServeMux.
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
