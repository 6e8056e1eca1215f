//go:build !unix

package fdlimit

func openFilesLimit() int { return noLimit }
