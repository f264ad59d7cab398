package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// A visitor is one person on a machine of their own: a new visitor finds no
// cookies, storage, cache or open connections of the one before. A browser has
// one visitor at a time, so that all the sink sees belongs to the visit under
// way. Private windows would separate visitors more simply, but Chromium
// ignores preconnect hints there, which are among the leaks to be seen.
type visitor struct {
	t    testing.TB
	b    *browser
	ctx  context.Context
	stop context.CancelFunc
	tape *tape

	// Scroll makes a visit go down to the end of the page, so that lazily
	// loaded frames and images load too.
	Scroll bool
}

func (b *browser) visitor(t testing.TB) *visitor {
	t.Helper()
	tape := newTape()
	ctx, stop := chromedp.NewContext(b.ctx, chromedp.WithListener(tape.record))
	v := &visitor{t: t, b: b, ctx: ctx, stop: sync.OnceFunc(stop), tape: tape, Scroll: true}
	t.Cleanup(v.close)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a window: %v", err)
	}
	wipe := storage.ClearDataForOriginParams{Origin: "*", StorageTypes: "all"}
	if _, err := chromedp.Call(ctx, storage.ClearDataForOrigin, wipe); err != nil {
		t.Fatalf("clear the profile: %v", err)
	}
	if _, err := chromedp.Call(ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		t.Fatalf("clear the cookies: %v", err)
	}
	if _, err := chromedp.Call(ctx, network.ClearBrowserCache, cdp.Empty{}); err != nil {
		t.Fatalf("clear the cache: %v", err)
	}
	return v
}

// close ends the visitor's window and waits until the last beacon of the last
// page has been sent.
func (v *visitor) close() {
	v.stop()
	v.b.sink.settle()
}

// withoutScript turns JavaScript off for the visits to come.
func (v *visitor) withoutScript() {
	v.t.Helper()
	v.disableScript(true)
	v.Scroll = false
}

func (v *visitor) disableScript(off bool) {
	v.t.Helper()
	if _, err := chromedp.Call(v.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off}); err != nil {
		v.t.Fatal(err)
	}
}

// header makes the browser send a header field with every request to come.
func (v *visitor) header(name, value string) {
	v.t.Helper()
	fields := network.SetExtraHTTPHeadersParams{Headers: network.Headers{name: value}}
	if _, err := chromedp.Call(v.ctx, network.SetExtraHTTPHeaders, fields); err != nil {
		v.t.Fatal(err)
	}
}

// A result is what one visit did and left behind.
type result struct {
	traffic
	Sent    []sent            // requests in the order in which the browser announced them
	Ran     []string          // third-party scripts the parser waited for, in the order in which they ran
	RanFree []string          // third-party scripts it did not wait for, sorted
	Cookies []*network.Cookie // all hosts
	Storage []string          // keys of localStorage and sessionStorage, sorted
	Errors  []string          // console errors and uncaught exceptions
	Idle    bool              // false: the page was still busy when patience ran out
}

// visit opens the address, waits until all is quiet, and returns what
// happened. The page stays open.
func (v *visitor) visit(address string) result {
	v.t.Helper()
	v.leave()
	ctx, cancel := context.WithTimeout(v.ctx, patience+10*time.Second)
	defer cancel()
	v.tape.reset()
	open := page.NavigateParams{URL: address}
	switch answer, err := chromedp.Call(ctx, page.Navigate, open); {
	case err != nil:
		v.t.Fatalf("visit %s: %v", address, err)
	case answer.ErrorText != "":
		v.t.Fatalf("visit %s: %s", address, answer.ErrorText)
	}
	deadline := time.Now().Add(patience)
	idle := v.wait(deadline)
	if v.Scroll {
		v.eval(`for (let y = 0; y < document.documentElement.scrollHeight && y < 60000; y += 2000) scrollTo(0, y); scrollTo(0, document.documentElement.scrollHeight)`)
		idle = v.wait(deadline)
	}
	return v.collect(idle)
}

// click presses the mouse button on an element, as a person would, waits until
// all is quiet, and returns what happened since.
func (v *visitor) click(selector string) result {
	v.t.Helper()
	v.press(selector)
	time.Sleep(50 * time.Millisecond) // a navigation begins after the click has returned
	return v.collect(v.wait(time.Now().Add(patience)))
}

// submit is click for a button that opens another page, which may take its time
// to begin.
func (v *visitor) submit(selector string) result {
	v.t.Helper()
	before := v.press(selector)
	deadline := time.Now().Add(patience)
	for v.tape.pages() == before {
		if time.Now().After(deadline) {
			v.t.Fatalf("click on %s opened no page", selector)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return v.collect(v.wait(deadline))
}

// press presses the mouse button on an element and returns how many pages were
// open before.
func (v *visitor) press(selector string) (pages int) {
	v.t.Helper()
	v.b.sink.settle()
	v.b.sink.take()
	v.tape.reset()
	v.tape.assumeLoaded()
	before := v.tape.pages()
	ctx, cancel := context.WithTimeout(v.ctx, 5*time.Second)
	defer cancel()
	// A click that opens another page may take its own answer down with the old one.
	if err := press(ctx, selector); err != nil && v.tape.pages() == before {
		v.t.Fatalf("click on %s at %s: %v", selector, v.location(), err)
	}
	return before
}

// press moves the mouse to the middle of an element and clicks. It needs no
// JavaScript.
func press(ctx context.Context, selector string) error {
	x, y, err := middle(ctx, selector)
	for end := time.Now().Add(2 * time.Second); err != nil && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		x, y, err = middle(ctx, selector)
	}
	if err != nil {
		return err
	}
	for _, kind := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
		event := input.DispatchMouseEventParams{Type: kind, X: x, Y: y, Button: input.MouseButtonLeft, ClickCount: 1}
		if _, err := chromedp.Call(ctx, input.DispatchMouseEvent, event); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

// middle scrolls an element into view and returns where its middle is. It may
// fail in passing: chromedp follows the document too, and makes node ids stale
// when it does.
func middle(ctx context.Context, selector string) (x, y float64, err error) {
	document, err := chromedp.Call(ctx, dom.GetDocument, dom.GetDocumentParams{})
	if err != nil {
		return 0, 0, err
	}
	node, err := chromedp.Call(ctx, dom.QuerySelector, dom.QuerySelectorParams{NodeID: document.Root.NodeID, Selector: selector})
	if err != nil {
		return 0, 0, err
	}
	if node.NodeID == 0 {
		return 0, 0, errors.New("no such element")
	}
	if _, err := chromedp.Call(ctx, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{NodeID: node.NodeID}); err != nil {
		return 0, 0, err
	}
	box, err := chromedp.Call(ctx, dom.GetContentQuads, dom.GetContentQuadsParams{NodeID: node.NodeID})
	if err != nil {
		return 0, 0, err
	}
	if len(box.Quads) == 0 || len(box.Quads[0]) != 8 {
		return 0, 0, errors.New("the element is not visible")
	}
	q := box.Quads[0] // four corners, clockwise
	return (q[0] + q[4]) / 2, (q[1] + q[5]) / 2, nil
}

// leave opens an empty page and lets the last one's parting beacons pass.
func (v *visitor) leave() {
	v.t.Helper()
	v.blank()
	v.b.sink.settle()
	// A connection left open would swallow the handshake of a later preconnect.
	v.b.sink.hangUp()
	v.b.sink.take()
}

// blank opens an empty page.
func (v *visitor) blank() {
	v.t.Helper()
	if _, err := chromedp.Call(v.ctx, page.Navigate, page.NavigateParams{URL: "about:blank"}); err != nil {
		v.t.Fatalf("leave the page: %v", err)
	}
}

// wait returns once the page has loaded and neither browser nor sink stirs,
// true, or at the deadline, false.
func (v *visitor) wait(deadline time.Time) bool {
	for time.Now().Before(deadline) {
		if v.tape.quietFor() > quiet && v.b.sink.idleFor() > quiet {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

func (v *visitor) collect(idle bool) result {
	v.t.Helper()
	r := result{traffic: v.b.sink.take(), Idle: idle, Cookies: v.cookies()}
	r.Sent, r.Errors = v.tape.take()
	var page struct {
		Ran     [][2]any
		Storage []string
	}
	const ask = `({Ran: self.__ran || [], Storage: (() => { try { return Object.keys(localStorage).concat(Object.keys(sessionStorage)).sort() } catch { return [] } })()})`
	ctx, cancel := context.WithTimeout(v.ctx, 10*time.Second)
	defer cancel()
	page, err := chromedp.Run(ctx, chromedp.Evaluate[struct {
		Ran     [][2]any
		Storage []string
	}](ask))
	if err != nil {
		return r // JavaScript is off, or the page is too busy to say
	}
	r.Storage = page.Storage
	for _, script := range page.Ran {
		name, _ := script[0].(string)
		if waited, _ := script[1].(bool); waited {
			r.Ran = append(r.Ran, name)
		} else {
			r.RanFree = append(r.RanFree, name)
		}
	}
	slices.Sort(r.RanFree)
	return r
}

// eval runs a script on the open page. What it throws is the page's business.
func (v *visitor) eval(script string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, 10*time.Second)
	defer cancel()
	click := true
	ask := runtime.EvaluateParams{Expression: script, UserGesture: &click}
	if _, err := chromedp.Call(ctx, runtime.Evaluate, ask); err != nil && ctx.Err() == nil {
		v.t.Fatalf("run %q: %v", script, err)
	}
}

// text returns what a script's value is as text, "" if it has none.
func (v *visitor) text(script string) string {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, 10*time.Second)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+script+")"))
	if err != nil {
		v.t.Fatalf("evaluate %q: %v", script, err)
	}
	return s
}

// location returns the address of the open page.
func (v *visitor) location() string {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, 10*time.Second)
	defer cancel()
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		v.t.Fatalf("ask for the address: %v", err)
	}
	return at
}

func (v *visitor) cookies() []*network.Cookie {
	v.t.Helper()
	all, err := chromedp.CallBrowser(v.ctx, storage.GetCookies, storage.GetCookiesParams{})
	if err != nil {
		v.t.Fatalf("read the cookies: %v", err)
	}
	return all.Cookies
}

// plant gives the visitor cookies, as an earlier visit would have.
func (v *visitor) plant(cookies ...*network.Cookie) {
	v.t.Helper()
	var p storage.SetCookiesParams
	for _, c := range cookies {
		p.Cookies = append(p.Cookies, &network.CookieParam{Name: c.Name, Value: c.Value, Domain: c.Domain, Path: c.Path, Secure: c.Secure, HTTPOnly: c.HTTPOnly, SameSite: c.SameSite})
	}
	if _, err := chromedp.CallBrowser(v.ctx, storage.SetCookies, p); err != nil {
		v.t.Fatalf("plant cookies: %v", err)
	}
}

// shot saves a picture of the open page.
func (v *visitor) shot(path string) {
	v.t.Helper()
	v.eval(`scrollTo(0, 0)`)
	ctx, cancel := context.WithTimeout(v.ctx, 20*time.Second)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		v.t.Fatalf("take a picture: %v", err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		v.t.Fatal(err)
	}
}
