// Package mutants implements mutation testing of the architecture: it applies naive designs, one
// at a time, to a copy of the source tree, runs the scenario that concerns each, and expects one
// check of the verdict to turn red.
package mutants
