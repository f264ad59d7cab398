package caches

import (
	"testing"
)

// Below "cache shared", too, a cache works as below a bare Caddy.
func TestSharedHitRateBelow(t *testing.T) {
	hitRateBelow(t, shared)
}

// In front of "cache shared" a cache keeps pages as in front of a bare Caddy.
func TestSharedHitRateBefore(t *testing.T) {
	var lines []string
	for _, top := range before {
		without, with := figures(t, top, bare), figures(t, top, shared)
		lines = append(lines, hitRate(top, bare, without), hitRate(top, shared, with))
		if with.pageHits < without.pageHits || with.hits < without.hits || with.origin > without.origin {
			t.Errorf("%s: %d hits, %d of them pages, %d requests to the site; without the gateway %d, %d, %d",
				top.name, with.hits, with.pageHits, with.origin, without.hits, without.pageHits, without.origin)
		}
	}
	logHitRates(t, lines)
}
