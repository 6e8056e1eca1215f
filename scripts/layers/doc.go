// Package layers holds the test that checks who may import whom, over the whole
// dependency graph of every module:
//
//	cmd → internal/app → adapters → domain → platform/fault
package layers
