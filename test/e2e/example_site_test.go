package e2e

import (
	"net"
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
