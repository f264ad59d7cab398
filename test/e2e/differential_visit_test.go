package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/consentgate/consentgate/test/cases"
)

const (
	// caseWindows is how many cases are open at the same time.
	caseWindows = 8
	// caseQuiet is how long nothing may stir before a case counts as settled,
	// casePatience how long a fetch that must come is waited for.
	caseQuiet    = 100 * time.Millisecond
	casePatience = 2 * time.Second
)

// A ledger notes when a case first and last reached a blocked host.
type ledger struct {
	mu          sync.Mutex
	first, last map[node]time.Time
}

func newLedger() *ledger {
	return &ledger{first: make(map[node]time.Time), last: make(map[node]time.Time)}
}

func (l *ledger) hear(host string) {
	n, _, ok := nodeOf(host)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[n] = time.Now()
	if l.first[n].IsZero() {
		l.first[n] = l.last[n]
	}
}

func (l *ledger) of(n node) (first, last time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first[n], l.last[n]
}

// A caseTour takes several windows through the cases.
type caseTour struct {
	site    *caseSite
	ledger  *ledger
	windows []*visitor
	asking  *visitor // in a browser that looks names up
	patient bool     // wait longer than usual

	mu    sync.Mutex
	took  map[int]time.Duration // from opening the bare page to its last contact
	fault error
}

// visitAll visits the given cases and returns when all have settled.
func (ct *caseTour) visitAll(t testing.TB, run byte, indexes []int) {
	t.Helper()
	var load, noJS, look []int
	for _, i := range indexes {
		switch c := &ct.site.cases[i]; {
		case c.Names:
			look = append(look, i)
		case c.NoJS:
			noJS = append(noJS, i)
		default:
			load = append(load, i)
		}
	}
	ct.visitIn(t, ct.windows, run, load)
	ct.visitIn(t, []*visitor{ct.asking}, run, look)
	for _, v := range ct.windows {
		v.disableScript(true)
	}
	ct.visitIn(t, ct.windows, run, noJS)
	for _, v := range ct.windows {
		v.disableScript(false)
	}
}

func (ct *caseTour) visitIn(t testing.TB, windows []*visitor, run byte, indexes []int) {
	t.Helper()
	queue := make(chan int)
	var wg sync.WaitGroup
	for _, v := range windows {
		wg.Go(func() {
			for i := range queue {
				err := ct.visit(v, node{run, i})
				for try := 0; errors.Is(err, context.DeadlineExceeded) && try < 2; try++ {
					err = ct.visit(v, node{run, i}) // the machine is busy
				}
				if err != nil {
					ct.mu.Lock()
					ct.fault = fmt.Errorf("%s: %w", ct.site.cases[i].Name, err)
					ct.mu.Unlock()
				}
			}
		})
	}
	for _, i := range indexes {
		queue <- i
	}
	close(queue)
	wg.Wait()
	if ct.fault != nil {
		t.Fatal(ct.fault)
	}
}

// visit opens a case and waits until it has settled. A case that must reach a
// blocked host when it is bare has time for it; through the rewriter it gets
// longer than it took then.
func (ct *caseTour) visit(v *visitor, n node) error {
	c := &ct.site.cases[n.index]
	ct.mu.Lock()
	atLeast := ct.took[n.index] * 3 / 2
	ct.mu.Unlock()
	v.tape.reset()
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	start := time.Now()
	// A page that is broken off, or leads elsewhere at once, is no fault.
	if _, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: ct.site.address(n)}); err != nil {
		return err
	}
	must := n.run == bareRun && c.Live && c.Idle == ""
	quiet, end := caseQuiet, casePatience+c.Wait
	if ct.patient {
		quiet, end = 10*quiet, 5*end
	}
	for time.Since(start) < end {
		first, last := ct.ledger.of(n)
		settled := v.tape.quietFor() > quiet && time.Since(last) > quiet
		if settled && time.Since(start) > atLeast+quiet && !(must && first.IsZero()) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n.run == bareRun {
		if _, last := ct.ledger.of(n); !last.IsZero() {
			ct.mu.Lock()
			ct.took[n.index] = last.Sub(start)
			ct.mu.Unlock()
		}
	}
	return nil
}

// A contact is what one case had to do with the world outside of its site.
type contact struct {
	blocked []string // requests to, and handshakes with, hosts that are not allowed
	allowed []string // requests to allowed third parties and to the site
}

// contacts sorts what was seen by case. What belongs to none comes back as
// strays.
func (ct *caseTour) contacts(blocked, allowed traffic, names []string) (all map[node]*contact, strays []string) {
	all = make(map[node]*contact)
	of := func(host, what string) *contact {
		n, _, ok := nodeOf(host)
		if !ok {
			strays = append(strays, what)
			return &contact{}
		}
		if all[n] == nil {
			all[n] = &contact{}
		}
		return all[n]
	}
	asked := make(map[string]bool)
	for _, h := range blocked.Hits {
		c := of(h.Host, h.String())
		c.blocked = append(c.blocked, h.Method+" "+h.String())
		asked[h.Host] = true
	}
	for _, name := range blocked.Names {
		if !asked[name] { // a connection without a request
			c := of(name, name)
			c.blocked = append(c.blocked, "connect "+name)
			asked[name] = true
		}
	}
	for _, name := range names {
		if _, _, ok := nodeOf(name); ok { // others are the browser's own business
			c := of(name, name)
			c.blocked = append(c.blocked, "look up "+name)
		}
	}
	for _, h := range allowed.Hits {
		n, host, _ := nodeOf(h.Host)
		c := of(h.Host, h.String())
		c.allowed = append(c.allowed, host+strings.ReplaceAll(h.Path, n.String(), ""))
	}
	ct.site.mu.Lock()
	defer ct.site.mu.Unlock()
	for n, paths := range ct.site.own {
		if all[n] == nil {
			all[n] = &contact{}
		}
		all[n].allowed = append(all[n].allowed, paths...)
	}
	return all, strays
}

// openWindows starts a browser with several windows, which finds the case site
// at home, the allowed third parties at one sink, and everybody else at another.
// The windows share a profile, but no case has a host of another's.
func openWindows(t testing.TB, site *caseSite, blocked, allowed *sink) (windows []*visitor) {
	t.Helper()
	homes := map[string]string{"*.site.test": site.secure, "*.plain.test": site.plain}
	for _, host := range allowedHosts {
		homes["*."+host] = allowed.addr
	}
	b := startBrowser(t, blocked, homes)
	for range caseWindows {
		v := b.visitor(t)
		// Only one window can have the focus; each shall believe that it has.
		if _, err := chromedp.Call(v.ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
			t.Fatal(err)
		}
		windows = append(windows, v)
	}
	return windows
}

// allowedHosts are the third parties in the cases that the policy does not know.
var allowedHosts = []string{"cdn.example.net", "facebook.com.evil.test", "notyoutube.com", "a"}

// pick returns the indexes of the cases that f wants.
func pick(all []cases.Case, f func(*cases.Case) bool) (indexes []int) {
	for i := range all {
		if f(&all[i]) {
			indexes = append(indexes, i)
		}
	}
	return indexes
}
