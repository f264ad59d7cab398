package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
)

// pagesDir holds saved pages of real sites. They are other people's and not
// part of the project.
const pagesDir = "../../../shared/data/pages"

// windows is how many browsers visit pages at the same time, each with a sink
// of its own.
const windows = 3

// savedPages returns the file names of the pages.
func savedPages(t testing.TB) []string {
	t.Helper()
	if _, err := os.Stat(pagesDir); os.IsNotExist(err) {
		t.Skipf("%s is absent", pagesDir)
	}
	paths, err := filepath.Glob(filepath.Join(pagesDir, "*.html"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < 20 {
		t.Fatalf("%s holds %d pages, want at least 20", pagesDir, len(paths))
	}
	for i, p := range paths {
		paths[i] = filepath.Base(p)
	}
	return paths
}

// savedSite serves the pages, and something harmless of the right sort for
// every other path of theirs.
func savedSite() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := strings.TrimPrefix(r.URL.Path, "/pages/"); name != r.URL.Path && strings.HasSuffix(name, ".html") {
			if b, err := os.ReadFile(filepath.Join(pagesDir, filepath.Base(name))); err == nil {
				w.Header().Set("Content-Type", "text/html")
				w.Write(b)
				return
			}
		}
		kind, body := answer(hit{Host: siteHost, Path: "/", Dest: destination(r)}, false)
		w.Header().Set("Content-Type", kind)
		w.Write([]byte(body))
	})
}

// With everything granted, what leaves the gateway is what the site sent, byte
// for byte.
func TestGrantedBytes(t *testing.T) {
	pages := savedPages(t)
	site := startUpstream(t, savedSite())
	g := startGateway(t, map[string]string{siteHost: site.addr})
	cookie := g.choose(t, "http://"+siteHost, "", url.Values{"action": {"grant-all"}})
	var total, held int
	for _, name := range pages {
		want, err := os.ReadFile(filepath.Join(pagesDir, name))
		if err != nil {
			t.Fatal(err)
		}
		address := "http://" + siteHost + "/pages/" + name
		resp, got := g.get(t, address, http.Header{"Cookie": {cookie}})
		if resp.StatusCode != http.StatusOK || !bytes.Equal(got, want) {
			t.Errorf("%s: %s, %d bytes that differ from the site's %d at byte %d", name, resp.Status, len(got), len(want), firstDifference(got, want))
		}
		if _, body := g.get(t, address, nil); !bytes.Equal(body, want) {
			held++
		}
		total += len(want)
	}
	if held < len(pages)/2 {
		t.Errorf("without consent only %d of %d pages differ: nothing is held back", held, len(pages))
	}
	t.Logf("%d pages, %d bytes, equal with everything granted; %d pages differ without consent", len(pages), total, held)
}

func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// A state is the policy's view of a stance.
func (st stance) bind(p *policy.Policy) policy.Bound {
	sc := p.Scheme()
	state := consent.State{Decided: st.action != "", At: time.Now()}
	for id := range st.granted {
		state.Chosen = state.Chosen.With(sc.Index(id))
	}
	state.Granted = state.Chosen
	return p.Bind(state, siteHost)
}

// kinds translates what a browser wants something for.
var kinds = map[string]policy.Kind{
	"script": policy.Script, "stylesheet": policy.Style, "media": policy.Media, "worker": policy.Script, "iframe": policy.Frame, "frame": policy.Frame, "document": policy.Frame,
	"object": policy.Object, "embed": policy.Object, "image": policy.Image, "style": policy.Style, "font": policy.Style,
	"video": policy.Media, "audio": policy.Media, "track": policy.Media,
}

// held returns the id of the vendor on whose account the request should not
// have happened, "" if it was allowed.
func held(b policy.Bound, h hit) string {
	path, query, _ := strings.Cut(h.Path, "?")
	d := b.Resource(kinds[h.Dest], policy.Location{Scheme: []byte("https"), Host: []byte(h.Host), Path: []byte(path), Query: []byte(query)})
	return blockedBy(d)
}

// heldName is held for a host that was only connected to.
func heldName(b policy.Bound, host string) string {
	return blockedBy(b.Resource(policy.Hint, policy.Location{Scheme: []byte("https"), Host: []byte(host), Path: []byte("/")}))
}

func blockedBy(d policy.Decision) string {
	if d.Action == policy.Allow {
		return ""
	}
	if d.Vendor == nil {
		return "unclassified"
	}
	return d.Vendor.ID
}

// A tally sums up what the pages did in one stance.
type tally struct {
	pages, busy, hits, names, held, errors int
}

// TestSavedPages visits every saved page without the gateway, and then behind
// it in each stance.
func TestSavedPages(t *testing.T) {
	findChromium(t)
	pages := savedPages(t)
	site := startUpstream(t, savedSite())
	g := startGateway(t, map[string]string{siteHost: site.addr})

	var mu sync.Mutex
	total := make(map[string]*tally)
	note := func(name string, r result, held int, errors int) {
		mu.Lock()
		defer mu.Unlock()
		if total[name] == nil {
			total[name] = new(tally)
		}
		c := total[name]
		c.pages++
		if !r.Idle {
			c.busy++
		}
		c.hits, c.names, c.held, c.errors = c.hits+len(r.Hits), c.names+len(r.Names), c.held+held, c.errors+errors
	}

	began := time.Now()
	work := make(chan string)
	var wg sync.WaitGroup
	var cookies map[string]*network.Cookie
	for range windows {
		s := startSink(t)
		b := startBrowser(t, s, map[string]string{bareHost: site.addr, siteHost: g.sites[siteHost]})
		if cookies == nil {
			cookies = saidCookies(t, b)
		}
		wg.Go(func() {
			for name := range work {
				t.Run(strings.TrimSuffix(name, ".html"), func(t *testing.T) {
					visitSaved(t, b, name, cookies, note)
				})
			}
		})
	}
	for _, name := range pages {
		work <- name
	}
	close(work)
	wg.Wait()
	var line []string
	for _, name := range []string{"bare", "none", "analytics", "all", "withdrawn"} {
		if c := total[name]; c != nil {
			line = append(line, fmt.Sprintf("%s: %d pages, %d requests, %d handshakes, %d to vendors not granted, %d new console errors, %d still busy", name, c.pages, c.hits, c.names, c.held, c.errors, c.busy))
		}
	}
	t.Logf("%s in %v", strings.Join(line, "; "), time.Since(began).Round(time.Second))
}

// saidCookies makes each choice on the form page and returns the cookies that
// keep them, by the name of the stance.
func saidCookies(t *testing.T, b *browser) map[string]*network.Cookie {
	t.Helper()
	cookies := make(map[string]*network.Cookie)
	for _, st := range stances {
		if st.action == "" {
			continue
		}
		v := b.visitor(t)
		v.say("http://"+siteHost, "/empty.json", st.action, st.save...)
		all := v.cookies()
		i := slices.IndexFunc(all, func(c *network.Cookie) bool { return c.Name == "cg" })
		if i < 0 {
			t.Fatalf("the choice %s set no cookie", st.name)
		}
		cookies[st.name] = all[i]
		v.close()
	}
	return cookies
}

// visitSaved visits one page in all stances. The choice itself is made with the
// form once (cookies holds what it set) and, for the withdrawal, on
// every page.
func visitSaved(t *testing.T, b *browser, name string, cookies map[string]*network.Cookie, note func(string, result, int, int)) {
	const base = "http://" + siteHost
	path := "/pages/" + name
	pol := policy.Default()

	v := b.visitor(t)
	bare := v.visit("http://" + bareHost + path)
	v.close()
	note("bare", bare, len(leaked(stances[0].bind(pol), bare)), 0)

	for _, st := range stances {
		if st.name == "refused" || st.withdraw {
			continue // as none; with all
		}
		v := b.visitor(t)
		if st.action != "" {
			v.plant(cookies[st.name])
		}
		got := v.visit(base + path)
		leaks, errors := checkSaved(t, st, pol, got, bare)
		note(st.name, got, leaks, errors)
		if st.name != "all" {
			v.close()
			continue
		}
		_, after := v.say(base, path, "withdraw")
		v.close()
		st = stances[len(stances)-1]
		leaks, errors = checkSaved(t, st, pol, after, bare)
		note(st.name, after, leaks, errors)
		checkSameSaved(t, b, path, cookies["all"], got, bare)
	}
}

// checkSaved judges one visit, and returns the number of leaks and of new
// console errors.
func checkSaved(t *testing.T, st stance, pol *policy.Policy, got, bare result) (int, int) {
	t.Helper()
	b := st.bind(pol)
	leaks, errors := leaked(b, got), newErrors(got.Errors, bare.Errors)
	for _, c := range ownCookies(got.Cookies, siteHost) {
		if c.Name != "cg" && b.SetCookie(c.Name).Action == policy.Block {
			leaks = append(leaks, "cookie "+c.Name)
		}
	}
	for _, l := range leaks {
		t.Errorf("%s: %s", st.name, l)
	}
	for _, e := range errors {
		t.Errorf("%s: new console error: %s", st.name, e)
	}
	for _, u := range overblocked(b, got, bare) {
		t.Errorf("%s: held back though allowed: %s", st.name, u)
	}
	return len(leaks), len(errors)
}

// overblocked returns what the markup of the page asks for without the gateway,
// the policy allows, and the browser did not ask for behind the gateway.
// Addresses count without their query, where pages put times and their own.
func overblocked(b policy.Bound, got, bare result) []string {
	asked := make(map[string]bool)
	for _, s := range got.Sent {
		asked[plain(s.URL.Hostname(), s.URL.EscapedPath())] = true
	}
	var out []string
	for _, s := range bare.Sent {
		if !s.Parser || !outside(s.URL) || !strings.HasPrefix(s.In, "http://"+bareHost+"/") || asked[plain(s.URL.Hostname(), s.URL.EscapedPath())] {
			continue
		}
		h := hit{Host: s.URL.Hostname(), Path: s.URL.RequestURI(), Dest: strings.ToLower(string(s.Type))}
		if held(b, h) == "" {
			out = append(out, h.String())
		}
	}
	return out
}

// leaked returns what reached vendors that are not granted.
func leaked(b policy.Bound, r result) []string {
	var out []string
	asked := make(map[string]bool)
	for _, h := range r.Hits {
		asked[h.Host] = true
		if vendor := held(b, h); vendor != "" {
			out = append(out, fmt.Sprintf("request to %s: %s (%s)", vendor, h, h.Dest))
		}
	}
	for _, name := range r.Names {
		// A host that was asked for something is judged by what it was asked for.
		if vendor := heldName(b, name); vendor != "" && !asked[name] {
			out = append(out, fmt.Sprintf("connection to %s: %s", vendor, name))
		}
	}
	return out
}

// checkSameSaved is checkSame for pages whose code rolls dice, and whose pictures
// come late or not at all as the machine is fast or slow. Addresses are compared
// without their query. What differs is looked at again, on both sides: a request
// counts as missing if every visit without the gateway makes it and no visit
// behind the gateway does, and as extra the other way round; scripts must have
// run in the same order in at least one pair of visits.
func checkSameSaved(t *testing.T, b *browser, path string, all *network.Cookie, got, bare result) {
	t.Helper()
	behind, bares := []result{got}, []result{bare}
	for rounds := 0; ; rounds++ {
		missing := always(bares, behind)
		extra := always(behind, bares)
		sameOrder := slices.ContainsFunc(behind, func(g result) bool {
			return slices.ContainsFunc(bares, func(o result) bool { return slices.Equal(g.Ran, o.Ran) })
		})
		if len(missing)+len(extra) == 0 && sameOrder {
			return
		}
		if rounds == 3 {
			t.Errorf("all: third-party requests differ in %d visits: missing %v, extra %v; scripts ran as\n     %v, want\n     %v",
				len(behind), missing, extra, got.Ran, bare.Ran)
			return
		}
		v := b.visitor(t)
		bares = append(bares, v.visit("http://"+bareHost+path))
		v.close()
		v = b.visitor(t)
		v.plant(all)
		behind = append(behind, v.visit("http://"+siteHost+path))
		v.close()
	}
}

// always returns the addresses that each of the visits some asked for and none of
// the others did.
func always(some, others []result) []string {
	in := bareAddresses(some[0].Hits)
	for _, r := range some[1:] {
		asked := bareAddresses(r.Hits)
		in = slices.DeleteFunc(in, func(a string) bool { return !slices.Contains(asked, a) })
	}
	for _, r := range others {
		in = without(in, bareAddresses(r.Hits))
	}
	return in
}

// digits are where pages put random numbers and times.
var digits = regexp.MustCompile(`[0-9.]{6,}`)

// plain returns an address without what differs from visit to visit.
func plain(host, path string) string {
	return sameHost(host + digits.ReplaceAllString(path, "#"))
}

// bareAddresses returns what was asked for, once each: whether a second request
// for the same address is sent or joined with the first is a race in the browser.
func bareAddresses(hits []hit) []string {
	var out []string
	for _, h := range hits {
		path, _, _ := strings.Cut(h.Path, "?")
		out = append(out, plain(h.Host, path))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
