// Package licences checks that every licence of what is linked into the programs of the services is on the list in
// allowed.txt. It reads the licence files between each linked package and the root of its module with Google's
// licensecheck. Go's own library is not checked: its licence is BSD-3-Clause.
package licences
