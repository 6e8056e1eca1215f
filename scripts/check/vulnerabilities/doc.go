// Package vulnerabilities tests the scan for known vulnerabilities with databases of its own.
package vulnerabilities
