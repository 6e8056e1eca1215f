// Package workflows checks that each delivered module has a workflow of its own, which runs when the module or a module
// that it requires changes. Whether the files are valid is actionlint's business.
package workflows
