package caches

import (
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/consentgate/consentgate/test/gate"
)

// Books are what is known of a stack while visitors ask it: which body every tag
// names, which body every state has, and what went wrong.
type books struct {
	s *stack

	mu     sync.Mutex
	bodies map[string]string          // path and opaque tag -> body
	tags   map[string]map[string]bool // path -> tags of any visitor
	right  map[string]string          // what decides on the body -> body
	faults []string
	sum    sums
}

// Sums are the figures of a run.
type sums struct {
	requests, fresh, revived, hits, origin int
	pages, pageHits                        int
	paths                                  map[string]int // requests the site got, by path
}

func newBooks(s *stack) *books {
	return &books{s: s, bodies: make(map[string]string), tags: make(map[string]map[string]bool), right: make(map[string]string)}
}

// foreign returns the tags anybody got for a path.
func (b *books) foreign(path string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.tags[path]))
}

// visit lets a visitor ask for a thing and judges the answer.
func (b *books) visit(v *visitor, d *thing) {
	r := v.plan(d, b.s.mode, b.foreign(d.path))
	if list := v.copies[d.path]; !v.asks && r.method == http.MethodGet && !r.part && len(list) > 0 && len(r.tags) == 0 && !r.dated {
		if c := list[len(list)-1]; c.fresh(r.header) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.sum.fresh++
			b.judge(v, r, c.body, "shown without asking")
			return
		}
	}
	var fields []string
	for name, lines := range r.header {
		for _, line := range lines {
			fields = append(fields, name, line)
		}
	}
	a, err := gate.TryAsk(b.s.client, r.method, b.s.base+d.path, fields...)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		err = a.Err
	}
	if err != nil {
		b.fault(v, r, "%v", err)
		return
	}
	b.sum.requests++
	if d.page() {
		b.sum.pages++
	}
	if hit(a.Header) {
		b.sum.hits++
		if d.page() {
			b.sum.pageHits++
		}
	}
	b.take(v, r, a)
}

// take judges an answer and gives it to the visitor's browser.
func (b *books) take(v *visitor, r *request, a gate.Answer) {
	b.judgeFields(v, r, a.Header)
	v.take(a.Header)
	want := r.thing.code
	if want == 0 {
		want = http.StatusOK
	}
	switch {
	case a.StatusCode == http.StatusNotModified:
		b.sum.revived++
		b.revive(v, r, a.Header)
	case r.method == http.MethodHead && a.StatusCode == want:
		b.judgeStored(v, r, a.Header)
	case a.StatusCode == http.StatusPartialContent && r.part:
		b.judgePart(v, r, a)
	case a.StatusCode == want:
		coding := a.Header.Get("Content-Encoding")
		if accepted := r.header.Get("Accept-Encoding"); !strings.Contains(accepted, coding) {
			b.fault(v, r, "coding %q, which the browser does not know", coding)
		}
		body, err := decode(a)
		if err != nil {
			b.fault(v, r, "%v", err)
			return
		}
		b.judge(v, r, body, "200")
		b.judgeStored(v, r, a.Header)
		b.know(v, r, a.Header.Get("ETag"), body)
		v.keep(r, a.Header, body)
	default:
		b.fault(v, r, "answered %d %v", a.StatusCode, a.Header)
	}
}

// know remembers which body a tag names. It may only ever name one.
func (b *books) know(v *visitor, r *request, tag, body string) {
	if tag == "" {
		return
	}
	path := r.thing.path
	key := path + " " + opaque(tag)
	if known, ok := b.bodies[key]; ok && known != body {
		b.fault(v, r, "%s names two bodies:\n%s\n%s", tag, known, body)
	}
	b.bodies[key] = body
	if b.tags[path] == nil {
		b.tags[path] = make(map[string]bool)
	}
	b.tags[path][tag] = true
}

// revive judges a 304: the body it revives must be the one this visitor would
// get anew, and the headers it leaves in the browser's cache as well.
func (b *books) revive(v *visitor, r *request, h http.Header) {
	tag := h.Get("ETag")
	switch {
	case len(r.tags) == 0 && !r.dated:
		b.fault(v, r, "304 to a request without conditions")
	case tag != "" && len(r.tags) > 0 && !slices.ContainsFunc(r.tags, func(sent string) bool { return opaque(sent) == opaque(tag) }):
		b.fault(v, r, "304 with tag %s, which was not asked about", tag)
	case tag == "" && len(r.tags) > 0:
		b.fault(v, r, "304 without a tag")
	case tag != "":
		body, ok := b.bodies[r.thing.path+" "+opaque(tag)]
		if !ok {
			b.fault(v, r, "304 with tag %s, which nobody got", tag)
			return
		}
		b.judge(v, r, body, "revived by "+tag)
	}
	if c := v.freshen(r, h); c != nil {
		b.judge(v, r, c.body, "revived in the browser")
		b.judgeStored(v, r, c.header)
	}
}

// live says which vendors' scripts run in the page that is right for the visitor.
func (b *books) live(v *visitor, category string) bool {
	switch b.s.mode {
	case bare:
		return true
	case shared:
		return false // the same bytes for everybody
	}
	return v.state.has(category)
}

// judge compares a body with the one that is right for the visitor.
func (b *books) judge(v *visitor, r *request, body, how string) {
	d := r.thing
	value := d.differsBy(r.header)
	if !d.page() {
		if body != d.body(value) {
			b.fault(v, r, "%s: a file changed: %q", how, body)
		}
		return
	}
	key := d.path + " " + value
	for _, category := range []string{"functional", "analytics", "marketing"} {
		url := vendorScripts[category]
		live := strings.Contains(body, ` src="`+url+`"`)
		held := strings.Contains(body, `data-cg-src="`+url+`"`)
		want := b.live(v, category)
		if live != want || held == want {
			b.fault(v, r, "%s: CROSS-STATE: %s is live: %v, held: %v", how, category, live, held)
		}
		key += fmt.Sprintf(" %v", want)
	}
	if !strings.Contains(body, d.mark(value)) || !strings.Contains(body, ` src="/s/app.js"`) || !strings.HasSuffix(body, "</html>\n") {
		b.fault(v, r, "%s: not the page for [%s]: %q", how, value, body)
	}
	if known, ok := b.right[key]; ok && known != body {
		b.fault(v, r, "%s: two bodies for %s:\n%s\n%s", how, key, known, body)
	}
	b.right[key] = body
}

// judgePart compares a part with the body it is said to be of.
func (b *books) judgePart(v *visitor, r *request, a gate.Answer) {
	if !r.thing.page() {
		if whole := r.thing.body(r.thing.differsBy(r.header)); a.Body != whole[10:90] {
			b.fault(v, r, "a part changed: %q", a.Body)
		}
		return
	}
	key := r.thing.path + " " + r.thing.differsBy(r.header)
	for _, category := range []string{"functional", "analytics", "marketing"} {
		key += fmt.Sprintf(" %v", b.live(v, category))
	}
	if whole, ok := b.right[key]; ok && a.Body != whole[10:90] {
		b.fault(v, r, "CROSS-STATE: a part of another page: %q", a.Body)
	}
}

// judgeFields looks for what the visitor has not granted.
func (b *books) judgeFields(v *visitor, r *request, h http.Header) {
	if b.s.mode == bare {
		return
	}
	if cookies := strings.Join(h["Set-Cookie"], "\n"); strings.Contains(cookies, tracker) {
		switch {
		case !v.state.has("analytics"):
			b.fault(v, r, "CROSS-STATE: a tracker's cookie without a grant: %v", h)
		case b.s.mode == shared && r.thing.page():
			b.fault(v, r, "a tracker's cookie on a page for everybody: %v", h)
		}
	}
	if links := strings.Join(h["Link"], "\n"); strings.Contains(links, vendorScripts["marketing"]) && !v.state.has("marketing") {
		b.fault(v, r, "CROSS-STATE: a hint at a vendor without a grant: %v", h)
	}
}

// judgeStored looks at the headers that would be stored with a page.
func (b *books) judgeStored(v *visitor, r *request, h http.Header) {
	if !r.thing.page() || b.s.mode == bare {
		return
	}
	cc := strings.Join(h["Cache-Control"], ",")
	varies := strings.Contains(strings.Join(h["Vary"], ","), "Cookie")
	switch b.s.mode {
	case private:
		if !strings.Contains(cc, "private") && !strings.Contains(cc, "no-store") || !varies {
			b.fault(v, r, "a page that shared caches may keep: %v", h)
		}
	case shared:
		if strings.Contains(strings.Join(r.thing.head, " "), "public") && strings.Contains(cc, "private") || varies && r.thing.by != "Cookie" {
			b.fault(v, r, "a page that shared caches may not keep: %v", h)
		}
	}
	if h.Get("Last-Modified") != "" {
		b.fault(v, r, "a page with a date, which cannot name a state: %v", h)
	}
}

// fault notes what went wrong. Ten are enough to see what it is.
func (b *books) fault(v *visitor, r *request, format string, args ...any) {
	text := fmt.Sprintf("%s, %s: %s", v.state.name, r, fmt.Sprintf(format, args...))
	b.faults = append(b.faults, text)
}

// close reports what went wrong and returns the figures.
func (b *books) close(t *testing.T) sums {
	t.Helper()
	for i, text := range b.faults {
		if i == 10 {
			t.Errorf("and %d more", len(b.faults)-10)
			break
		}
		t.Error(text)
	}
	b.sum.origin, b.sum.paths = b.s.origin.count()
	return b.sum
}

// decode undoes the content coding of an answer.
func decode(a gate.Answer) (string, error) {
	var r io.Reader = strings.NewReader(a.Body)
	switch coding := a.Header.Get("Content-Encoding"); coding {
	case "":
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return "", err
		}
		r = z
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		z, err := zstd.NewReader(r)
		if err != nil {
			return "", err
		}
		defer z.Close()
		r = z
	default:
		return "", fmt.Errorf("coding %q", coding)
	}
	data, err := io.ReadAll(r)
	return string(data), err
}
