// Package imports checks the import rules over the whole dependency graph of every module:
//
//	cmd → internal/app → adapters → domain → platform/apperr
//
// platform imports neither contracts nor a service, contracts import the protobuf and gRPC runtimes only,
// and services never import each other.
package imports
