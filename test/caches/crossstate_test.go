package caches

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	inTurn   = 1000 // requests one after the other
	together = 400  // then by all visitors at once
)

// B7: no visitor gets a page made for another state, out of no cache, however
// the requests interleave and whatever the browsers hold.
func TestCrossStatePrivate(t *testing.T) {
	crossState(t, private, things())
}

func crossState(t *testing.T, m mode, list []*thing) {
	var lines []string
	for _, top := range slices.Concat([]topology{alone}, before, below, []topology{around}) {
		t.Run(strings.ReplaceAll(top.name, " > ", "-"), func(t *testing.T) {
			s := build(t, top, m, serve(t, list))
			b := newBooks(s)
			b.interleave(reachable(list, top))
			faults := len(b.faults)
			sum := b.close(t)
			if sum.revived < 50 {
				t.Errorf("only %d answers were 304: the browsers' caches are not looked at", sum.revived)
			}
			if top.below != nil && sum.hits == 0 {
				t.Error("the cache below was never hit")
			}
			lines = append(lines, fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %d | %d |",
				top.name, m, sum.requests, sum.fresh, sum.revived, sum.hits, sum.origin, faults))
		})
	}
	t.Log("\n| caches | mode | requests | shown without asking | 304 | cache hits | asked of the site | cross-state |\n" +
		"| --- | --- | --- | --- | --- | --- | --- | --- |\n" + strings.Join(lines, "\n"))
}

// reachable leaves out what a cache that ignores Vary mixes up by itself.
func reachable(list []*thing, top topology) []*thing {
	if !top.urlOnly {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(d *thing) bool { return d.by != "" })
}

// interleave lets visitors of all states ask, first in turns, then at once.
func (b *books) interleave(list []*thing) {
	const seed = 7
	visitors := make([]*visitor, len(states))
	for i := range visitors {
		visitors[i] = newVisitor(i, seed)
		visitors[i].oneLine, visitors[i].noDates = b.s.top.oneLine, b.s.top.noDates
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	for b.sum.requests < inTurn && len(b.faults) < 100 {
		v := visitors[rng.IntN(len(visitors))]
		if rng.IntN(25) == 0 {
			v.flip()
		}
		b.visit(v, list[rng.IntN(len(list))])
	}
	var wg sync.WaitGroup
	for _, v := range visitors {
		wg.Go(func() {
			for range together / len(visitors) {
				if v.rng.IntN(10) == 0 {
					v.flip()
				}
				b.visit(v, list[v.rng.IntN(len(list))])
			}
		})
	}
	wg.Wait()
}
