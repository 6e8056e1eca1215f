// Package openapi holds the HTTP APIs as OpenAPI 3.1 documents, as they are
// served and as answers are checked against.
package openapi

import _ "embed" // the documents

// Todo describes todo-service.
//
//go:embed todo.yaml
var Todo string

// Stats describes stats-service.
//
//go:embed stats.yaml
var Stats string
