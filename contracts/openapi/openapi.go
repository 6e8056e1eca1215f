// Package openapi is the contract of the HTTP APIs as OpenAPI 3.1 documents. The services
// serve them, and tests check every response against them.
package openapi

import _ "embed" // the documents

// Todo is the document of todo-service.
//
//go:embed todo.yaml
var Todo string

// Stats is the document of stats-service.
//
//go:embed stats.yaml
var Stats string
