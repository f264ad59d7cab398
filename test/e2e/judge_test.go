package e2e

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
)

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
