// Package sbom tests the software bills of materials that scripts/sbom writes.
package sbom
