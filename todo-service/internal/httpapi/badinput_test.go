package httpapi_test

import (
	"strings"
)

func post(name, body string, status int, mention string, fields ...string) badInput {
	return badInput{name: name, method: "POST", target: "/tasks", body: body, status: status, mention: mention, fields: fields}
}

func patch(name, body string, status int, mention string, fields ...string) badInput {
	return badInput{name: name, method: "PATCH", target: "/tasks/1", body: body, status: status, mention: mention, fields: fields}
}

func get(name, target string, status int, mention string, fields ...string) badInput {
	return badInput{name: name, method: "GET", target: target, status: status, mention: mention, fields: fields}
}

func badCreations() []badInput {
	deep := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
	return []badInput{
		post("broken JSON", `{"title":`, 400, ""),
		post("no JSON", `title=A`, 400, ""),
		post("white space alone", "  \n", 400, ""),
		post("single quotes", `{'title':'A'}`, 400, ""),
		post("a trailing comma", `{"title":"A",}`, 400, ""),
		post("text after it", `{"title":"A"} x`, 400, ""),
		post("two documents", `{"title":"A"}{"title":"B"}`, 400, ""),
		post("unknown key", `{"title":"A","colour":"red"}`, 400, "colour"),
		post("a key the service sets", `{"title":"A","id":7}`, 400, "id"),
		post("a key in another case", `{"Title":"A"}`, 400, "Title"),
		post("duplicate key", `{"title":"A","title":"B"}`, 400, "title"),
		post("duplicate key, escaped", `{"title":"A","\u0074itle":"B"}`, 400, "title"),
		post("duplicate key in another case", `{"title":"A","TITLE":"B"}`, 400, "TITLE"),
		post("an array", `[]`, 400, ""),
		post("a string", `"A"`, 400, ""),
		post("null", `null`, 400, ""),
		post("deeper than 32", `{"title":`+deep(33)+`}`, 400, "32"),
		post("deeper than 32 behind an unknown key", `{"x":`+deep(10_000)+`}`, 400, ""),
		post("text that is not UTF-8", "{\"title\":\"A\xff\"}", 400, "UTF-8"),
		post("half a surrogate pair", `{"title":"A\ud800"}`, 400, ""),
		post("a NUL byte", "{\"title\":\"A\x00\"}", 400, ""),
		post("title: a number", `{"title":7}`, 422, "title must be", "title"),
		post("title: an object", `{"title":{}}`, 422, "title must be", "title"),
		post("title: null", `{"title":null}`, 422, "title must be text, not null", "title"),
		post("title: absent", `{}`, 422, "title must not be empty", "title"),
		post("title: empty", `{"title":""}`, 422, "title must not be empty", "title"),
		post("title: blank", `{"title":" \t\n\u00a0\u3000"}`, 422, "title must not be empty", "title"),
		post("title: 501 characters", `{"title":"`+strings.Repeat("é", 501)+`"}`, 422, "at most 500", "title"),
		post("title: NUL", `{"title":"A\u0000B"}`, 422, "control", "title"),
		post("title: a line break", `{"title":"A\nB"}`, 422, "control", "title"),
		post("title: escape", `{"title":"\u001b[31mA"}`, 422, "control", "title"),
		post("title: delete", `{"title":"A\u007fB"}`, 422, "control", "title"),
		post("title: a control character past ASCII", `{"title":"A\u0085B"}`, 422, "control", "title"),
		post("priority: a string", `{"title":"A","priority":"1"}`, 422, "priority must be", "priority"),
		post("priority: true", `{"title":"A","priority":true}`, 422, "priority must be", "priority"),
		post("priority: null", `{"title":"A","priority":null}`, 422, "priority must be a whole number in range, not null", "priority"),
		post("priority: a fraction", `{"title":"A","priority":1.5}`, 422, "whole number", "priority"),
		post("priority: a small exponent", `{"title":"A","priority":15e-1}`, 422, "whole number", "priority"),
		post("priority: -1", `{"title":"A","priority":-1}`, 422, "0 to 100", "priority"),
		post("priority: 101", `{"title":"A","priority":101}`, 422, "0 to 100", "priority"),
		post("priority: above 32 bits", `{"title":"A","priority":4294967297}`, 422, "0 to 100", "priority"),
		post("priority: above int64", `{"title":"A","priority":9223372036854775808}`, 422, "in range", "priority"),
		post("priority: above everything", `{"title":"A","priority":1e400}`, 422, "priority must be", "priority"),
		post("priority: 60,000 digits", `{"title":"A","priority":`+strings.Repeat("9", 60_000)+`}`, 422, "in range", "priority"),
		post("several at once", `{"title":" ","priority":101}`, 422, "", "title", "priority"),
	}
}

func badChanges() []badInput {
	missing := patch("an unknown task", `{"title":"A"}`, 404, "no task 7")
	missing.target = "/tasks/7"
	return []badInput{
		patch("no body", ``, 415, "application/json"),
		patch("broken JSON", `{`, 400, ""),
		patch("null", `null`, 400, ""),
		patch("an array of operations", `[{"op":"replace","path":"/title","value":"A"}]`, 400, ""),
		patch("unknown key", `{"colour":"red"}`, 400, "colour"),
		patch("id", `{"id":2}`, 400, "id"),
		patch("version", `{"version":1}`, 400, "version"),
		patch("duplicate key", `{"done":true,"done":false}`, 400, "done"),
		patch("title: null", `{"title":null}`, 422, "title must be text, not null", "title"),
		patch("priority: null", `{"priority":null}`, 422, "priority must be a whole number in range, not null", "priority"),
		patch("done: null", `{"done":null}`, 422, "done must be true or false, not null", "done"),
		patch("all null", `{"done":null,"title":null,"priority":null}`, 422, "done must be", "done"),
		patch("done: a string", `{"done":"true"}`, 422, "done must be", "done"),
		patch("done: a number", `{"done":1}`, 422, "done must be", "done"),
		patch("title: blank", `{"title":" "}`, 422, "empty", "title"),
		patch("title: 501 characters", `{"title":"`+strings.Repeat("日", 501)+`"}`, 422, "at most 500", "title"),
		patch("one invalid field beside a valid one", `{"done":true,"priority":101}`, 422, "0 to 100", "priority"),
		missing,
	}
}

func badIDs() []badInput {
	var inputs []badInput
	for _, id := range []string{"0", "-1", "9223372036854775808", "-9223372036854775809", "abc", "1.5", "1e3", "0x1", "%20", "1%00", "%ff", "a%2Fb", "%EF%BC%91", "+1", "01", "-0"} {
		inputs = append(inputs,
			get("GET "+id, "/tasks/"+id, 422, "id must be", "id"),
			get("GET events "+id, "/tasks/"+id+"/events", 422, "id must be", "id"),
			badInput{name: "PATCH " + id, method: "PATCH", target: "/tasks/" + id, body: `{"title":"A"}`, status: 422, mention: "id must be", fields: []string{"id"}},
			badInput{name: "PATCH done " + id, method: "PATCH", target: "/tasks/" + id + "/done", status: 422, mention: "id must be", fields: []string{"id"}},
			badInput{name: "DELETE " + id, method: "DELETE", target: "/tasks/" + id, status: 422, mention: "id must be", fields: []string{"id"}},
		)
	}
	return inputs
}

func badLists() []badInput {
	return []badInput{
		get("limit 0", "/tasks?limit=0", 422, "1 to 1000", "limit"),
		get("limit 1001", "/tasks?limit=1001", 422, "1 to 1000", "limit"),
		get("limit negative", "/tasks?limit=-1", 422, "1 to 1000", "limit"),
		get("limit above int64", "/tasks?limit=9223372036854775808", 422, "1 to 1000", "limit"),
		get("limit not a number", "/tasks?limit=ten", 422, "1 to 1000", "limit"),
		get("limit with a sign", "/tasks?limit=%2B1", 422, "1 to 1000", "limit"),
		get("limit with a zero before", "/tasks?limit=01", 422, "1 to 1000", "limit"),
		get("limit empty", "/tasks?limit=", 422, "1 to 1000", "limit"),
		get("cursor negative", "/tasks?after=-1", 422, "0 to", "after"),
		get("cursor above int64", "/tasks?after=9223372036854775808", 422, "0 to", "after"),
		get("cursor not a number", "/tasks?after=abc", 422, "0 to", "after"),
		get("done neither true nor false", "/tasks?done=yes", 422, "true or false", "done"),
		get("done empty", "/tasks?done", 422, "true or false", "done"),
		get("a parameter twice", "/tasks?limit=1&limit=2", 422, "once", "limit"),
		get("an unknown parameter", "/tasks?dnoe=true", 422, "not a parameter", "dnoe"),
		get("a long unknown parameter", "/tasks?"+strings.Repeat("x", 2000), 422, "not a parameter", strings.Repeat("x", 100)),
		get("many unknown parameters", "/tasks?a&b&c&d&e&f&g&h&i&j&k&l", 422, "", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"),
		get("an offset, which is gRPC's", "/tasks?offset=1", 422, "not a parameter", "offset"),
		get("q with NUL", "/tasks?q=a%00b", 422, "control", "q"),
		get("q too long", "/tasks?q="+strings.Repeat("a", 201), 422, "at most 200 characters", "q"),
		get("q too long in multibyte characters", "/tasks?q="+strings.Repeat("%E7%95%8C", 201), 422, "at most 200 characters", "q"),
		get("q not UTF-8", "/tasks?q=%ff", 422, "UTF-8", "q"),
		get("several at once", "/tasks?limit=0&done=1&after=x", 422, "", "after", "done", "limit"),
		get("sort unknown", "/tasks?sort=title", 422, "id, -id, priority or -priority", "sort"),
		get("sort in another case", "/tasks?sort=ID", 422, "-priority", "sort"),
		get("sort with a plus", "/tasks?sort=%2Bid", 422, "-priority", "sort"),
		get("sort by two", "/tasks?sort=priority,id", 422, "-priority", "sort"),
		get("sort empty", "/tasks?sort=", 422, "-priority", "sort"),
		get("sort twice", "/tasks?sort=id&sort=-id", 422, "once", "sort"),
		get("sort and cursor", "/tasks?sort=up&after=x", 422, "", "after", "sort"),
		get("cursor negative, backwards", "/tasks?sort=-id&after=-1", 422, "0 to", "after"),
		get("cursor by priority: an id", "/tasks?sort=priority&after=1", 422, "same sort", "after"),
		get("cursor by priority: empty", "/tasks?sort=priority&after=", 422, "same sort", "after"),
		get("cursor by priority: of the other direction", "/tasks?sort=-priority&after=priority.1.1", 422, "same sort", "after"),
		get("cursor by priority: no id", "/tasks?sort=priority&after=priority.1", 422, "same sort", "after"),
		get("cursor by priority: id 0", "/tasks?sort=priority&after=priority.1.0", 422, "same sort", "after"),
		get("cursor by priority: negative id", "/tasks?sort=priority&after=priority.1.-1", 422, "same sort", "after"),
		get("cursor by priority: id above int64", "/tasks?sort=priority&after=priority.1.9223372036854775808", 422, "same sort", "after"),
		get("cursor by priority: priority 101", "/tasks?sort=priority&after=priority.101.1", 422, "same sort", "after"),
		get("cursor by priority: negative priority", "/tasks?sort=priority&after=priority.-1.1", 422, "same sort", "after"),
		get("cursor by priority: a zero before", "/tasks?sort=priority&after=priority.01.1", 422, "same sort", "after"),
		get("cursor by priority: text after it", "/tasks?sort=priority&after=priority.1.1.1", 422, "same sort", "after"),
		get("cursor by priority: a line break", "/tasks?sort=priority&after=priority.1.1%0a", 422, "same sort", "after"),
		get("counts: a parameter", "/tasks/counts?done=true", 422, "not a parameter", "done"),
		get("counts: broken escape", "/tasks/counts?q=%zz", 400, "query string"),
		get("history: a sort", "/tasks/1/events?sort=id", 422, "not a parameter", "sort"),
		get("broken escape", "/tasks?q=%zz", 400, "query string"),
		get("semicolon", "/tasks?limit=1;done=true", 400, "query string"),
		get("a value without a name", "/tasks?limit=1&=2", 400, "without a name"),
		get("history: limit 0", "/tasks/1/events?limit=0", 422, "1 to 1000", "limit"),
		get("history: limit 1001", "/tasks/1/events?limit=1001", 422, "1 to 1000", "limit"),
		get("history: cursor negative", "/tasks/1/events?after=-1", 422, "0 to", "after"),
		get("history: a filter of the other list", "/tasks/1/events?done=true", 422, "not a parameter", "done"),
		get("history: a parameter twice", "/tasks/1/events?after=1&after=2", 422, "once", "after"),
		get("history: broken escape", "/tasks/1/events?after=%zz", 400, "query string"),
		get("history of an unknown task", "/tasks/7/events", 404, "no task 7"),
	}
}

func badRoutes() []badInput {
	method := func(method, target, allow string) badInput {
		return badInput{name: method + " " + target, method: method, target: target, status: 405, allow: allow}
	}
	const list, one, done, events = "GET, HEAD, POST", "DELETE, GET, HEAD, PATCH", "PATCH", "GET, HEAD"
	return []badInput{
		get("unknown", "/nope", 404, ""),
		get("root", "/", 404, ""),
		get("trailing slash", "/tasks/", 404, ""),
		get("below a task", "/tasks/1/undone", 404, ""),
		get("too deep", "/tasks/1/done/2", 404, ""),
		get("doubled slash", "//tasks", 404, ""),
		get("an empty id", "/tasks//done", 404, ""),
		get("dots", "/tasks/../tasks", 404, ""),
		get("dots, escaped", "/tasks/%2e%2e", 404, ""),
		get("a capital letter", "/Tasks", 404, ""),
		get("counts with a capital letter", "/tasks/Counts", 422, "id must be", "id"),
		get("counts with a trailing slash", "/tasks/counts/", 404, ""),
		get("counts, escaped slash", "/tasks%2Fcounts", 404, ""),
		method("POST", "/tasks/counts", events), method("PATCH", "/tasks/counts", events), method("DELETE", "/tasks/counts", events), method("PUT", "/tasks/counts", events),
		method("PUT", "/tasks", list), method("DELETE", "/tasks", list), method("OPTIONS", "/tasks", list), method("BREW", "/tasks", list), method("TRACE", "/tasks", list),
		method("POST", "/tasks/1", one), method("PUT", "/tasks/1", one), method("OPTIONS", "/tasks/1", one),
		method("POST", "/events", events), method("DELETE", "/events", events), method("POST", "/tasks/1/events", events), method("DELETE", "/tasks/1/events", events),
		method("GET", "/tasks/1/done", done), method("POST", "/tasks/1/done", done), method("DELETE", "/tasks/1/done", done),
	}
}

func badEnvelopes() []badInput {
	typed := func(name, method, contentType string) badInput {
		target := map[string]string{"POST": "/tasks", "PATCH": "/tasks/1"}[method]
		return badInput{
			name: name, method: method, target: target, body: `{"title":"A"}`, status: 415, mention: "application/json",
			header: []string{"Content-Type", contentType},
		}
	}
	large := `{"title":"A` + strings.Repeat(" ", 64<<10) + `"}`
	keyed := func(name string, header ...string) badInput {
		return badInput{
			name: "Idempotency-Key: " + name, method: "POST", target: "/tasks", body: `{"title":"A"}`, status: 400,
			mention: "Idempotency-Key must be", header: header,
		}
	}
	const key = "Idempotency-Key"
	malformed := patch("If-Match without quotes", `{"title":"A"}`, 400, "If-Match")
	malformed.header = []string{"If-Match", "1"}
	outdated := patch("If-Match of another version", `{"title":"A"}`, 412, "version 1")
	outdated.header = []string{"If-Match", `"2"`}
	return []badInput{
		typed("no content type", "POST", ""),
		typed("form encoding", "POST", "application/x-www-form-urlencoded"),
		typed("multipart form", "POST", "multipart/form-data; boundary=x"),
		typed("text", "POST", "text/plain"),
		typed("merge patch is for PATCH", "POST", "application/merge-patch+json"),
		typed("malformed", "POST", ";;;"),
		typed("no content type for a change", "PATCH", ""),
		typed("form encoding for a change", "PATCH", "application/x-www-form-urlencoded"),
		typed("operations for a change", "PATCH", "application/json-patch+json"),
		post("over 64 KiB", large, 413, "65536 bytes"),
		post("over 64 KiB of white space", `{"title":"A"}`+strings.Repeat(" ", 64<<10), 413, "65536 bytes"),
		patch("a change over 64 KiB", large, 413, "65536 bytes"),
		keyed("a space", key, "a b"),
		keyed("not ASCII", key, "é"),
		keyed("an open quote", key, `"a`),
		keyed("empty in quotes", key, `""`),
		keyed("256 characters", key, strings.Repeat("k", 256)),
		keyed("twice", key, "a", key, "a"),
		malformed,
		outdated,
	}
}

// badNeedlessBodies returns requests that need no body and have an invalid one.
func badNeedlessBodies() []badInput {
	var inputs []badInput
	for _, request := range []struct{ method, target string }{{"PATCH", "/tasks/1/done"}, {"DELETE", "/tasks/1"}} {
		add := func(name, kind, body string, status int, mention string) {
			inputs = append(inputs, badInput{
				name: request.method + " with " + name, method: request.method, target: request.target, body: body,
				header: []string{"Content-Type", kind}, status: status, mention: mention,
			})
		}
		add("a form", "application/x-www-form-urlencoded", `done=true`, 415, "application/json")
		add("a multipart form", "multipart/form-data; boundary=x", `--x--`, 415, "application/json")
		add("JSON without a content type", "", `{}`, 415, "application/json")
		add("JSON as text", "text/plain", `{}`, 415, "application/json")
		add("operations", "application/json-patch+json", `[]`, 415, "application/json")
		add("malformed", "application/json", `{`, 400, "")
		add("a member", "application/json", `{"done":false}`, 400, "done")
		add("an array", "application/json", `[]`, 400, "")
		add("null", "application/json", `null`, 400, "")
		add("over 64 KiB", "application/json", "{"+strings.Repeat(" ", 64<<10)+"}", 413, "65536 bytes")
	}
	return append(inputs, badInput{
		name: "DELETE with a merge patch", method: "DELETE", target: "/tasks/1", body: `{}`,
		header: []string{"Content-Type", "application/merge-patch+json"}, status: 415, mention: "application/json",
	})
}
