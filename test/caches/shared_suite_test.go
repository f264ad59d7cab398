package caches

import "testing"

// In "cache shared" that holds for a cache in front as well.
func TestSharedSuite(t *testing.T) {
	runSuite(t, shared)
}
