package e2e

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
)

const (
	bareHost = "bare.test" // the site's own server
	siteHost = "site.test" // the same behind the gateway
)

// home is the example site with and without the gateway, and a browser.
type home struct {
	sink     *sink
	upstream *upstream
	gateway  *gateway
	browser  *browser
}

func newHome(t *testing.T) *home {
	t.Helper()
	findChromium(t)
	h := &home{sink: startSink(t), upstream: startUpstream(t, exampleSite())}
	h.gateway = startGateway(t, map[string]string{siteHost: h.upstream.addr, secureHost: h.upstream.addr})
	sites := map[string]string{bareHost: h.upstream.addr}
	for host, addr := range h.gateway.sites {
		sites[host] = addr
	}
	h.browser = startBrowser(t, h.sink, sites)
	return h
}

// A tour is one visitor's way through all pages, with a click on each.
type tour struct {
	pages  []result
	clicks []result
	own    [][]string // first-party requests of each page
	ready  []string   // whether the site's own code ran to its end
	hints  [][]string // hosts of live preconnect and dns-prefetch hints
}

// clickOn is what the visitor clicks on each page.
var clickOn = []string{"[data-lead=hero]", "[href='#solo']", "[data-lead=header]", "button", "button"}

func (h *home) tour(v *visitor, base string) tour {
	v.t.Helper()
	var tr tour
	for i, p := range sitePages {
		v.leave()
		h.upstream.take()
		r := v.visit(base + p)
		if !r.Idle {
			v.t.Errorf("%s was still busy after %v", p, patience)
		}
		tr.pages = append(tr.pages, r)
		var own []string
		for _, ask := range h.upstream.take() {
			if !strings.Contains(ask.Path, "favicon") {
				own = append(own, ask.Path)
			}
		}
		slices.Sort(own)
		tr.own = append(tr.own, own)
		tr.ready = append(tr.ready, v.text("document.documentElement.dataset.ready"))
		tr.hints = append(tr.hints, strings.Fields(v.text(`[...document.querySelectorAll('link[rel~=preconnect], link[rel~=dns-prefetch]')].filter(l => l.href).map(l => new URL(l.href).hostname).join(' ')`)))
		tr.clicks = append(tr.clicks, v.click(clickOn[i]))
		if p == "/signin.html" {
			if got := v.text("document.querySelector('.answer').textContent"); got != "Signed in (demo)." {
				v.t.Errorf("%s: the form answers %q: its CSRF cookie did not arrive", p, got)
			}
		}
	}
	return tr
}

func TestExampleSite(t *testing.T) {
	h := newHome(t)
	shots := shotDir(t)
	bare := h.tour(h.browser.visitor(t), "http://"+bareHost)
	for _, st := range stances {
		t.Run(st.name, func(t *testing.T) {
			v := h.browser.visitor(t)
			const base = "http://" + siteHost
			if st.action != "" {
				form, landing := v.say(base, "/signin.html", st.action, st.save...)
				if n := len(form.Hits) + len(form.Names); n > 0 {
					t.Errorf("the preferences page reached %v", form.hosts())
				}
				if !st.withdraw {
					checkVendors(t, "after the choice", st, landing.traffic, landing.Cookies)
				}
			}
			if st.withdraw {
				h.tour(v, base)
				v.visit(base + "/")
				checkHeld(t, v.cookies())
				_, landing := v.say(base, "/", "withdraw")
				checkVendors(t, "after the withdrawal", st, landing.traffic, landing.Cookies)
			}
			got := h.tour(v, base)
			for i, p := range sitePages {
				checkPage(t, st, p, got, bare, i)
			}
			h.report(t, st, got, v.cookies())
			v.visit(base + "/")
			v.shot(filepath.Join(shots, st.name+".png"))
		})
	}
}

// TestExampleSiteWithoutScript is for visitors without JavaScript: the pixels
// and frames in noscript are theirs alone, and so is the form page that works
// without it.
func TestExampleSiteWithoutScript(t *testing.T) {
	h := newHome(t)
	tour := func(v *visitor, base string) (all []result) {
		for _, p := range sitePages {
			all = append(all, v.visit(base+p))
		}
		return all
	}
	v := h.browser.visitor(t)
	v.withoutScript()
	bare := tour(v, "http://"+bareHost)
	for _, id := range []string{"meta-pixel", "google-tag-manager", "linkedin-insight"} {
		sn := snippets[slices.IndexFunc(snippets, func(s snippet) bool { return s.id == id })]
		if len(sn.requests(bare[0].Hits)) == 0 {
			t.Errorf("without the gateway no noscript element of %s loads: the harness is blind to it", id)
		}
	}
	for _, st := range stances {
		t.Run(st.name, func(t *testing.T) {
			v := h.browser.visitor(t)
			v.withoutScript()
			const base = "http://" + siteHost
			if st.action != "" {
				v.say(base, "/signin.html", st.action, st.save...)
			}
			if st.withdraw {
				v.say(base, "/signin.html", "withdraw")
			}
			for i, r := range tour(v, base) {
				checkVendors(t, sitePages[i], st, r.traffic, r.Cookies)
				if len(st.granted) == len(everything) && !slices.Equal(multiset(r.Hits), multiset(bare[i].Hits)) {
					t.Errorf("%s: reached %v, want %v", sitePages[i], multiset(r.Hits), multiset(bare[i].Hits))
				}
			}
		})
	}
}

// On HTTPS the choice is kept in a cookie no other host and no plain connection
// can set.
func TestSecureSite(t *testing.T) {
	h := newHome(t)
	v := h.browser.visitor(t)
	const base = "https://" + secureHost
	before := v.visit(base + "/")
	checkVendors(t, "before the choice", stances[0], before.traffic, before.Cookies)
	_, landing := v.say(base, "/", "grant-all")
	if len(landing.Hits) == 0 {
		t.Error("after everything was granted nothing is loaded")
	}
	i := slices.IndexFunc(landing.Cookies, func(c *network.Cookie) bool { return c.Name == "__Host-cg" })
	if i < 0 {
		t.Fatalf("there is no cookie __Host-cg: %v", names(landing.Cookies))
	}
	c := landing.Cookies[i]
	days := time.Until(time.Unix(int64(c.Expires), 0)).Hours() / 24
	if !c.Secure || c.Path != "/" || c.Domain != secureHost || c.SameSite != network.CookieSameSiteLax || days < 1 || days > 400 {
		t.Errorf("__Host-cg: secure %v, path %q, domain %q, SameSite %q, %.0f days", c.Secure, c.Path, c.Domain, c.SameSite, days)
	}
	_, landing = v.say(base, "/", "withdraw")
	checkVendors(t, "after the withdrawal", stance{name: "withdrawn", withdraw: true}, landing.traffic, ownCookies(landing.Cookies, secureHost))
}

// TestExampleCaddyfile takes the configuration of the README's first command as
// it is, but for the ports.
func TestExampleCaddyfile(t *testing.T) {
	findChromium(t)
	text, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(string(text), "{\n", "{\n\tadmin off\n\tlog {\n\t\tlevel ERROR\n\t}\n", 1)
	config = strings.ReplaceAll(config, "root test/site", "root "+siteDir)
	var front string
	for _, port := range []string{"8080", "8081", "8082"} {
		addr := freeAddr(t)
		if front == "" {
			front = addr
		}
		_, free, _ := net.SplitHostPort(addr)
		if !strings.Contains(config, ":"+port) {
			t.Fatalf("Caddyfile.example does not use port %s", port)
		}
		config = strings.ReplaceAll(config, ":"+port, ":"+free)
	}
	loadCaddy(t, config)
	s := startSink(t)
	b := startBrowser(t, s, map[string]string{"localhost": front})
	_, port, _ := net.SplitHostPort(front)
	base := "http://localhost:" + port
	for _, st := range []stance{stances[0], {name: "all", action: "grant-all", granted: everything}} {
		v := b.visitor(t)
		if st.action != "" {
			v.say(base, "/", st.action)
		}
		var all traffic
		for _, p := range sitePages {
			r := v.visit(base + p)
			checkVendors(t, st.name+" "+p, st, r.traffic, r.Cookies)
			all.Hits = append(all.Hits, r.Hits...)
		}
		for _, sn := range snippets {
			if st.granted[sn.category] && len(sn.requests(all.Hits)) == 0 {
				t.Errorf("%s: nothing of %s is loaded", st.name, sn.id)
			}
		}
		v.close()
	}
}

// TestEarlierCookies is the first visit behind the gateway of somebody who knew
// the site before: what vendors left then stays in the browser, but the site's
// server does not get it.
func TestEarlierCookies(t *testing.T) {
	h := newHome(t)
	v := h.browser.visitor(t)
	for _, c := range []network.Cookie{
		{Name: "_ga", Value: "GA1.1.1.1"}, {Name: "sessionid", Value: "old", HTTPOnly: true},
		{Name: "_fbp", Value: "fb.1.1.1"}, {Name: "FPID", Value: "FPID2.1", HTTPOnly: true},
		{Name: "theme", Value: "dark"},
	} {
		c.Domain, c.Path = siteHost, "/"
		v.plant(&c)
	}
	h.upstream.take()
	v.visit("http://" + siteHost + "/")
	for _, ask := range h.upstream.take() {
		for _, pair := range strings.Split(ask.Cookie, "; ") {
			name, _, _ := strings.Cut(pair, "=")
			if !slices.Contains([]string{"theme", "sessionid", "csrftoken"}, name) {
				t.Errorf("%s: the site's server got the cookie %s", ask.Path, pair)
			}
		}
		if !strings.Contains(ask.Cookie, "theme=dark") || !strings.Contains(ask.Cookie, "sessionid=") {
			t.Errorf("%s: the site's server got the cookies %q, want theme and sessionid among them", ask.Path, ask.Cookie)
		}
	}
	_, landing := v.say("http://"+siteHost, "/", "grant-all")
	if len(landing.Hits) == 0 {
		t.Error("after everything was granted nothing is loaded")
	}
	for _, ask := range h.upstream.take() {
		if ask.Path == "/" && (!strings.Contains(ask.Cookie, "_ga=GA1.1.1.1") || strings.Contains(ask.Cookie, "cg=")) {
			t.Errorf("after everything was granted the site's server got %q, want _ga and nothing of the gateway's", ask.Cookie)
		}
	}
}

// TestGlobalPrivacyControl lets the browser's signal take away what the visitor
// granted, where the policy says it does.
func TestGlobalPrivacyControl(t *testing.T) {
	h := newHome(t)
	st := stance{name: "all with Sec-GPC", granted: make(map[string]bool)}
	for _, c := range policy.Default().Scheme().Categories {
		st.granted[c.ID] = c.DeniedBy&consent.GPC == 0
	}
	if st.granted["marketing"] || !st.granted["functional"] {
		t.Fatalf("the built-in policy lets the signal deny %v", st.granted)
	}
	v := h.browser.visitor(t)
	v.header("Sec-GPC", "1")
	v.say("http://"+siteHost, "/", "grant-all")
	for _, p := range sitePages {
		r := v.visit("http://" + siteHost + p)
		checkVendors(t, p, st, r.traffic, r.Cookies)
		if len(r.Hits) == 0 {
			t.Errorf("%s: nothing is loaded, though functional vendors are granted", p)
		}
	}
}

// checkHeld makes sure that there is something to withdraw, HttpOnly cookies
// included.
func checkHeld(t *testing.T, cookies []*network.Cookie) {
	t.Helper()
	for _, name := range []string{"_ga", "_fbp", "li_fat_id", "FPID", "_gcl_aw", "intercom-id-ald3rf1n"} {
		if !slices.ContainsFunc(ownCookies(cookies, siteHost), func(c *network.Cookie) bool { return c.Name == name }) {
			t.Errorf("before the withdrawal there is no cookie %s", name)
		}
	}
}

// checkPage compares one page of a tour with the same page without the gateway.
func checkPage(t *testing.T, st stance, p string, got, bare tour, i int) {
	t.Helper()
	for _, step := range []struct {
		what     string
		got, old result
	}{{p, got.pages[i], bare.pages[i]}, {p + " click", got.clicks[i], bare.clicks[i]}} {
		checkVendors(t, step.what, st, step.got.traffic, step.got.Cookies)
		for _, e := range newErrors(step.got.Errors, step.old.Errors) {
			t.Errorf("%s: new console error: %s", step.what, e)
		}
		if len(st.granted) == len(everything) {
			checkSame(t, step.what, step.got, step.old)
		}
	}
	if got.ready[i] != "yes" {
		t.Errorf("%s: the site's own code did not run to its end", p)
	}
	if !slices.Equal(got.own[i], bare.own[i]) {
		t.Errorf("%s: first-party requests\n got %v\nwant %v", p, got.own[i], bare.own[i])
	}
	for _, host := range got.hints[i] {
		for _, sn := range snippets {
			if !st.granted[sn.category] && len(sn.handshakes([]string{host})) > 0 {
				t.Errorf("%s: a live hint names %s (%s)", p, host, sn.id)
			}
		}
	}
}

// checkVendors fails if a vendor that is not granted was asked for anything,
// was connected to, or left a cookie.
func checkVendors(t *testing.T, what string, st stance, tr traffic, cookies []*network.Cookie) {
	t.Helper()
	if st.withdraw {
		// What a vendor stored on its own host when it was granted is out of
		// the site's reach.
		cookies = slices.Concat(ownCookies(cookies, siteHost), ownCookies(cookies, secureHost))
	}
	for _, sn := range snippets {
		if st.granted[sn.category] {
			continue
		}
		requests, handshakes := sn.requests(tr.Hits), sn.handshakes(tr.Names)
		if len(requests) > 0 {
			t.Errorf("%s: requests to %s: %v", what, sn.id, requests)
		}
		if len(requests) == 0 && len(handshakes) > 0 {
			t.Errorf("%s: connections to %s: %v", what, sn.id, handshakes)
		}
		if left := sn.left(cookies); len(left) > 0 {
			t.Errorf("%s: cookies of %s: %v", what, sn.id, left)
		}
	}
	if len(st.granted) == 0 && !t.Failed() && len(tr.Hits)+len(tr.Names)+tr.Silent > 0 {
		t.Errorf("%s: reached %v, %d silent connections; want nothing at all", what, tr.hosts(), tr.Silent)
	}
	has := names(cookies)
	for name, category := range serverSet {
		if slices.Contains(has, name) && !st.granted[category] {
			t.Errorf("%s: the site's server could set %s", what, name)
		}
		if !slices.Contains(has, name) && st.granted[category] {
			t.Errorf("%s: the site's server could not set %s, which is granted", what, name)
		}
	}
	for _, name := range essentialCookies {
		if !slices.Contains(has, name) {
			t.Errorf("%s: the essential cookie %s is missing", what, name)
		}
	}
}

// checkSame fails unless a visit did the same as one without the gateway: the
// same requests, and the scripts the parser waits for in the same order. The
// order of the others is a race even between two visits without the gateway.
func checkSame(t *testing.T, what string, got, bare result) {
	t.Helper()
	if g, b := multiset(got.Hits), multiset(bare.Hits); !slices.Equal(g, b) {
		t.Errorf("%s: third-party requests differ\n got %s\nwant %s", what, strings.Join(without(g, b), "\n     "), strings.Join(without(b, g), "\n     "))
	}
	if !slices.Equal(got.Ran, bare.Ran) || !slices.Equal(got.RanFree, bare.RanFree) {
		t.Errorf("%s: scripts ran as %v, %v; want %v, %v", what, got.Ran, got.RanFree, bare.Ran, bare.RanFree)
	}
	if g, b := parserOrder(got.Sent), parserOrder(bare.Sent); !slices.Equal(g, b) {
		t.Errorf("%s: the parser asked for\n     %v, want\n     %v", what, g, b)
	}
}

// multiset returns the requests as sorted text, the page's own host made equal.
func multiset(hits []hit) []string {
	var out []string
	for _, h := range hits {
		out = append(out, sameHost(h.Method+" "+h.String()))
	}
	slices.Sort(out)
	return out
}

func sameHost(s string) string { return strings.ReplaceAll(s, bareHost, siteHost) }

// without returns a without the elements of b, counted.
func without(a, b []string) []string {
	left := make(map[string]int)
	for _, s := range b {
		left[s]++
	}
	var out []string
	for _, s := range a {
		if left[s]--; left[s] < 0 {
			out = append(out, s)
		}
	}
	return out
}

// newErrors returns the console errors that the page does not have without the
// gateway.
func newErrors(got, bare []string) []string {
	a, b := make([]string, len(got)), make([]string, len(bare))
	for i := range got {
		a[i] = sameHost(got[i])
	}
	for i := range bare {
		b[i] = sameHost(bare[i])
	}
	return without(a, b)
}

// parserOrder returns the third-party scripts and styles the markup asked for,
// in the order in which the browser announced them.
func parserOrder(all []sent) []string {
	var out []string
	for _, s := range all {
		if s.Parser && outside(s.URL) && (s.Type == network.ResourceTypeScript || s.Type == network.ResourceTypeStylesheet) {
			out = append(out, s.URL.String())
		}
	}
	return out
}

func outside(u *url.URL) bool { return !strings.HasSuffix(u.Hostname(), ".test") }

// ownCookies returns the cookies stored for the host or a parent of it.
func ownCookies(cookies []*network.Cookie, host string) []*network.Cookie {
	return slices.DeleteFunc(slices.Clone(cookies), func(c *network.Cookie) bool {
		domain := strings.TrimPrefix(c.Domain, ".")
		return host != domain && !strings.HasSuffix(host, "."+domain)
	})
}

// names returns the names of the cookies, sorted.
func names(cookies []*network.Cookie) (out []string) {
	for _, c := range cookies {
		out = append(out, c.Name)
	}
	slices.Sort(out)
	return out
}

func (h *home) report(t *testing.T, st stance, tr tour, cookies []*network.Cookie) {
	t.Helper()
	var hits, handshakes, errors int
	for _, r := range append(slices.Clone(tr.pages), tr.clicks...) {
		hits, handshakes, errors = hits+len(r.Hits), handshakes+len(r.Names), errors+len(r.Errors)
	}
	t.Logf("%s: %d pages, %d requests, %d handshakes, %d console errors; %d cookies, on the site %v; storage %v",
		st.name, len(tr.pages), hits, handshakes, errors, len(cookies), names(ownCookies(cookies, siteHost)), tr.pages[len(tr.pages)-1].Storage)
}
