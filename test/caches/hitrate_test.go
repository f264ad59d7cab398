package caches

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A cache below the gateway is asked no more than one below a bare Caddy, and
// asks the site no more often.
func TestHitRateBelow(t *testing.T) {
	hitRateBelow(t, private)
}

func hitRateBelow(t *testing.T, m mode) {
	var lines []string
	for _, top := range below {
		without := figures(t, top, bare)
		with := figures(t, top, m)
		lines = append(lines, hitRate(top, bare, without), hitRate(top, m, with))
		if with.origin > without.origin {
			t.Errorf("%s: the site was asked %d times, without the gateway %d\nwith    %v\nwithout %v",
				top.name, with.origin, without.origin, with.paths, without.paths)
		}
	}
	logHitRates(t, lines)
}

// A cache in front of "cache private" keeps no pages, and all the rest.
func TestHitRateBefore(t *testing.T) {
	var lines []string
	for _, top := range before[:4] {
		without, with := figures(t, top, bare), figures(t, top, private)
		lines = append(lines, hitRate(top, bare, without), hitRate(top, private, with))
		if files, bareFiles := with.hits-with.pageHits, without.hits-without.pageHits; files < bareFiles {
			t.Errorf("%s: %d hits for files, without the gateway %d", top.name, files, bareFiles)
		}
		if with.pageHits != 0 {
			t.Errorf("%s: %d pages came out of the cache", top.name, with.pageHits)
		}
	}
	logHitRates(t, lines)
}

// figures sends the same thousand requests through a stack, none of them
// answered by the browser itself.
func figures(t *testing.T, top topology, m mode) (sum sums) {
	t.Run(strings.ReplaceAll(top.name, " > ", "-")+", "+string(m), func(t *testing.T) {
		const seed = 11
		list := reachable(things(), top)
		b := newBooks(build(t, top, m, serve(t, list)))
		visitors := make([]*visitor, len(states))
		for i := range visitors {
			v := newVisitor(i, seed)
			v.asks, v.keeps = true, true
			v.oneLine, v.noDates = top.oneLine, top.noDates
			visitors[i] = v
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		for range inTurn {
			v := visitors[rng.IntN(len(visitors))]
			if rng.IntN(25) == 0 {
				v.flip()
			}
			b.visit(v, list[rng.IntN(len(list))])
		}
		sum = b.close(t)
	})
	return sum
}

func hitRate(top topology, m mode, s sums) string {
	return fmt.Sprintf("| %s | %s | %d | %d | %.1f %% | %d | %d | %d |", top.name, m, s.requests, s.hits,
		100*float64(s.hits)/float64(max(s.requests, 1)), s.pageHits, s.revived, s.origin)
}

func logHitRates(t *testing.T, lines []string) {
	t.Log("\n| caches | Caddy | requests | cache hits | hit rate | of them pages | 304 | asked of the site |\n" +
		"| --- | --- | --- | --- | --- | --- | --- | --- |\n" + strings.Join(lines, "\n"))
}
