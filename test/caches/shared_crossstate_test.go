package caches

import (
	"slices"
	"testing"
)

// In "cache shared" a page is the same bytes for everybody, out of every cache,
// and nobody's own.
func TestSharedCrossState(t *testing.T) {
	crossState(t, shared, things())
}

// What a cookie or a hint of a file says of the visitor's choice stays with that
// visitor, in both modes, though the file may be stored.
func TestSharedCrossStateFiles(t *testing.T) {
	for _, m := range []mode{private, shared} {
		t.Run(string(m), func(t *testing.T) {
			crossState(t, m, slices.Concat(dependent(), things()[:4], things()[16:]))
		})
	}
}
