// Package style is a linter for what golangci-lint does not check: banned words in comments and
// identifiers, the length of doc comments, files and functions, missing package comments, and the number of
// names that a package exports.
package style
