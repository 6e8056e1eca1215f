// Package listcache defines the entry of the list cache: a cached response to GET /tasks.
// The adapter that caches and the HTTP handlers share this type.
package listcache

// Entry is the response to a list request.
type Entry struct {
	Body []byte // the JSON array
	Link string // the Link header, or "" when there is no further page
	ETag string // the body's strong entity tag
	Hit  bool   // it came from the cache, without a query
}
