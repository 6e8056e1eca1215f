// Package link is the wire between the services and a server, with a hand on it: a TCP proxy that can
// be cut, delayed, stalled, closed, and told to let requests through and throw the answers away.
package link
