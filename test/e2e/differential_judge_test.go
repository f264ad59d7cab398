package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/test/cases"
)

// A verdicts is the comparison of all cases in two runs. Lists hold texts that
// name the case.
type verdicts struct {
	cases         int
	live          int // fetch something blocked when bare
	inert         int // of the corpus's inert files: load or run nothing blocked in any parser
	idle          int // live for other parsers or after a click, not in an untouched Chromium
	bare, through int // requests and lone handshakes to blocked hosts
	allowed       int // requests to allowed hosts, bare, each address once a case
	refused       int // broken off by the rewriter

	unseen     []string // live, but fetch nothing blocked when bare
	unexpected []string // inert or idle, but fetch something blocked when bare
	leaks      []string // reach a blocked host in the second run
	over       []string // inert, but held or without an allowed load in the second run
	lost       []string // live, and without an allowed load in the second run
	costs      []string // the same, and the case says why
	thrifty    []string // the case says why, but loses nothing

	excused map[string]bool // those of over that stand where readings differ
}

// ambiguous are the elements in which parsers read differently, so that holding
// something that this Chromium does not load is the price of safety.
var ambiguous = regexp.MustCompile(`(?i)<(svg|math|select|noscript)`)

func judgeCases(all []cases.Case, bare, second map[int]*contact, made map[node]*rewrittenPage) *verdicts {
	v := &verdicts{cases: len(all), excused: make(map[string]bool)}
	for i := range all {
		c, was, is := &all[i], bare[i], second[i]
		name := caseName(c)
		v.bare, v.through = v.bare+len(was.blocked), v.through+len(is.blocked)
		v.allowed += len(distinct(was.allowed))
		switch {
		case !c.Live:
			v.inert++
		case c.Idle != "":
			v.idle++
		}
		switch must := c.Live && c.Idle == ""; {
		case len(was.blocked) > 0 && !must:
			v.unexpected = append(v.unexpected, name+" "+was.blocked[0])
		case len(was.blocked) == 0 && must:
			v.unseen = append(v.unseen, name)
		}
		if len(was.blocked) > 0 {
			v.live++
		}
		if len(is.blocked) > 0 {
			v.leaks = append(v.leaks, fmt.Sprintf("%s: %v", name, is.blocked))
		}
		page := made[node{throughRun, i}]
		if page == nil {
			page = &rewrittenPage{}
		}
		if page.refused {
			v.refused++
		}
		gone := without(distinct(was.allowed), distinct(is.allowed))
		switch {
		case !c.Live && (page.changed || page.refused || len(gone) > 0):
			what := fmt.Sprintf("%s (held %v, refused %v, lost %v)", name, page.changed, page.refused, gone)
			v.over = append(v.over, what)
			v.excused[what] = ambiguous.Match(c.Document(""))
		case c.Costs != "" && len(gone) == 0:
			v.thrifty = append(v.thrifty, name)
		case c.Costs != "":
			v.costs = append(v.costs, name)
		case len(gone) > 0 && !page.refused:
			v.lost = append(v.lost, fmt.Sprintf("%s: %v", name, gone))
		}
	}
	return v
}

func caseName(c *cases.Case) string { return fmt.Sprintf("%s.txt:%d: %s", c.File, c.Line, c.Name) }

func distinct(ss []string) []string {
	ss = slices.Clone(ss)
	slices.Sort(ss)
	return slices.Compact(ss)
}

// log writes down the figures.
func (v *verdicts) log(t *testing.T) {
	t.Helper()
	outside := 0
	for _, f := range v.over {
		if !v.excused[f] {
			outside++
		}
	}
	t.Logf("%d cases: %d live in Chromium, %d live for other parsers or after a click only, %d inert", v.cases, v.live, v.idle, v.inert)
	t.Logf("requests and lone handshakes to blocked hosts: %d bare, %d through the rewriter, from %d cases", v.bare, v.through, len(v.leaks))
	t.Logf("%d allowed loads; %d pages broken off by the rewriter", v.allowed, v.refused)
	t.Logf("over-blocked: %d of %d inert cases (%.2f %%), %d of them outside svg, math, select and noscript%s", len(v.over), v.inert, 100*float64(len(v.over))/float64(max(1, v.inert)), outside, list(v.over))
	t.Logf("live cases that lose something allowed with what is blocked: %d%s", len(v.costs), list(v.costs))
}

func list(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "\n\t" + strings.Join(names, "\n\t")
}
