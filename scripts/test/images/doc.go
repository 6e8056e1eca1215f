// Package images examines the images of the services: their contents, their user, and that a second build gives
// the same files. The images exist, as `make images` builds them; E2E_SYSTEM=compose enables the tests.
package images
