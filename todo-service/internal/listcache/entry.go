// Package listcache holds the entry of the list cache: a response to GET /tasks
// that is ready to send.
package listcache

// Entry is the response to a list.
type Entry struct {
	Body []byte // the JSON array, as answered
	Link string // the Link header, or "" when there is no further page
	ETag string // the body's strong entity tag
	Hit  bool   // the cache had it; the store was not asked
}
