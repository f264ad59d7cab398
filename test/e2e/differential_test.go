package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/consentgate/consentgate/test/cases"
)

// TestDifferential is the browser's word on the rewriter. Every case of the
// corpus is opened as it is, to see what Chromium (its parser, its preload
// scanner, its style engine) fetches from it, and then through the rewriter with
// nothing granted and no Content-Security-Policy: nothing may reach a blocked
// host, and what is allowed must still arrive.
func TestDifferential(t *testing.T) {
	findChromium(t)
	begun := time.Now()
	all := someCases(t)
	ct, bare, through := tourCases(t, all)
	v := judgeCases(all, bare, through, ct.site.made)
	v.log(t)
	t.Logf("%d windows, %v", caseWindows, time.Since(begun).Round(time.Second))

	for i := range all {
		if !ct.site.seen[node{bareRun, i}] || !ct.site.seen[node{throughRun, i}] {
			t.Errorf("never opened: %s", caseName(&all[i]))
		}
	}
	for _, f := range v.unseen {
		t.Errorf("said to be live, but Chromium fetches nothing blocked: %s", f)
	}
	for _, f := range v.unexpected {
		t.Errorf("said to load nothing blocked, but Chromium does: %s", f)
	}
	for _, f := range v.leaks {
		t.Errorf("leak: %s", f)
	}
	for _, f := range v.lost {
		t.Errorf("an allowed load is lost: %s", f)
	}
	for _, f := range v.thrifty {
		t.Errorf("said to cost something allowed, but nothing is lost: %s", f)
	}
	for _, f := range v.over {
		if !v.excused[f] {
			t.Errorf("held for nothing: %s", f)
		}
	}
	part := os.Getenv("CONSENTGATE_E2E_CASES") != "" // someone looks at a few
	if len(all) < 300 && !part {
		t.Errorf("%d cases, want at least 300", len(all))
	}
	if 100*len(v.over) > v.inert && !part {
		t.Errorf("%d of %d inert cases are held for nothing, more than 1 %%", len(v.over), v.inert)
	}

	// A rewriter that lets everything pass must not.
	passing := judgeCases(all, bare, bare, nil)
	if len(passing.leaks) != v.live || v.live < 100 && !part {
		t.Errorf("without a rewriter %d of %d live cases count as leaks: the test is blind", len(passing.leaks), v.live)
	}
}

// someCases returns the corpus, or those whose place and name the variable
// CONSENTGATE_E2E_CASES matches.
func someCases(t *testing.T) []cases.Case {
	t.Helper()
	all, err := cases.Load()
	if err != nil {
		t.Fatal(err)
	}
	if wanted := os.Getenv("CONSENTGATE_E2E_CASES"); wanted != "" {
		re, err := regexp.Compile(wanted)
		if err != nil {
			t.Fatal(err)
		}
		all = slices.DeleteFunc(all, func(c cases.Case) bool { return !re.MatchString(caseName(&c)) })
	}
	return all
}

// tourCases visits every case twice and returns what each had to do with the
// outside world.
func tourCases(t *testing.T, all []cases.Case) (ct *caseTour, bare, through map[int]*contact) {
	t.Helper()
	ct = &caseTour{site: startCaseSite(t, all), ledger: newLedger(), took: make(map[int]time.Duration)}
	blocked, allowed := startSink(t), startSink(t)
	blocked.listen(ct.ledger.hear)
	names := &resolver{heard: ct.ledger.hear}
	ct.windows = openWindows(t, ct.site, blocked, allowed)
	home := []string{"MAP *.site.test " + ct.site.secure, "MAP *.plain.test " + ct.site.plain}
	ct.asking = launch(t, blocked, append(home, ownRules()...), startTLS(t, names)).visitor(t)

	seen := make(map[byte]map[int]*contact)
	for _, run := range []byte{bareRun, throughRun} {
		blocked.settle()
		blocked.take() // what browsers do when they start
		ct.visitAll(t, run, pick(all, func(*cases.Case) bool { return true }))
		if run == throughRun {
			shootCases(t, ct, ct.windows[0])
		}
		// A busy machine may have kept something from coming in time.
		ct.patient = true
		ct.visitAll(t, run, ct.missing(run, seen[bareRun], allowed.peek()))
		ct.patient = false
		for _, v := range append(ct.windows, ct.asking) {
			v.blank() // parting beacons belong to the run
		}
		blocked.settle()
		at := blocked.take()
		contacts, strays := ct.contacts(at, allowed.take(), names.take())
		if run == throughRun && len(strays)+at.Silent > 0 {
			t.Errorf("%d silent connections to blocked hosts, and of no case: %v", at.Silent, strays)
		}
		seen[run] = byCase(contacts, run, len(all))
	}
	return ct, seen[bareRun], seen[throughRun]
}

// byCase returns the contacts of one run by the cases' indexes.
func byCase(contacts map[node]*contact, run byte, n int) map[int]*contact {
	by := make(map[int]*contact)
	for i := range n {
		if by[i] = contacts[node{run, i}]; by[i] == nil {
			by[i] = &contact{}
		}
	}
	return by
}

// missing returns the cases that have not fetched all they must.
func (ct *caseTour) missing(run byte, bare map[int]*contact, allowed []hit) (late []int) {
	contacts, _ := ct.contacts(traffic{}, traffic{Hits: allowed}, nil)
	by := byCase(contacts, run, len(ct.site.cases))
	for i := range ct.site.cases {
		switch c := &ct.site.cases[i]; {
		case run == bareRun:
			if first, _ := ct.ledger.of(node{run, i}); first.IsZero() && c.Live && c.Idle == "" {
				late = append(late, i)
			}
		case c.Costs == "" && len(without(distinct(bare[i].allowed), distinct(by[i].allowed))) > 0:
			late = append(late, i)
		}
	}
	return late
}

// shootCases takes pictures for those who want to see what the browser saw.
func shootCases(t *testing.T, ct *caseTour, v *visitor) {
	t.Helper()
	if os.Getenv("CONSENTGATE_E2E_SHOTS") == "" {
		return
	}
	dir := shotDir(t)
	for _, i := range pick(ct.site.cases, func(c *cases.Case) bool { return c.Shot }) {
		for _, run := range []byte{bareRun, throughRun} {
			if err := ct.visit(v, node{run, i}); err != nil {
				t.Fatal(err)
			}
			v.shot(filepath.Join(dir, fmt.Sprintf("case-%d-%c.png", i, run)))
		}
	}
}
