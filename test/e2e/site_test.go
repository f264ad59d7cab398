package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
)

// siteDir is the example site.
const siteDir = "../site"

// sitePages are its pages.
var sitePages = []string{"/", "/pricing.html", "/blog/what-a-pixel-sees.html", "/contact.html", "/signin.html"}

// A snippet is one vendor of the example site: where it is seen on the network
// and what it leaves behind. The list is the test's own and owes nothing to the
// catalog, so that a gap in the catalog shows.
type snippet struct {
	id       string
	category string
	hosts    []string // host, or host followed by the beginning of a path
	cookies  []string // names; a "*" at the end stands for anything
}

var snippets = []snippet{
	{"meta-pixel", "marketing", []string{"connect.facebook.net", "www.facebook.com"}, []string{"_fbp", "fr"}},
	{"google-tag-manager", "analytics", []string{"www.googletagmanager.com/gtm.js", "www.googletagmanager.com/ns.html", "www.googletagmanager.com/a"}, nil},
	{"google-analytics-4", "analytics", []string{"www.googletagmanager.com/gtag/", "region1.google-analytics.com", "www.google-analytics.com"}, []string{"_ga", "_ga_*"}},
	{"linkedin-insight", "marketing", []string{"snap.licdn.com", "px.ads.linkedin.com"}, []string{"li_fat_id", "bcookie"}},
	{"hotjar", "analytics", []string{"static.hotjar.com", "script.hotjar.com", "vc.hotjar.io"}, []string{"_hjSessionUser_*", "_hjSession_*"}},
	{"youtube", "marketing", []string{"www.youtube.com", "i.ytimg.com"}, []string{"VISITOR_INFO1_LIVE"}},
	{"google-maps", "functional", []string{"www.google.com/maps/", "maps.googleapis.com", "maps.gstatic.com"}, []string{"NID"}},
	{"intercom", "functional", []string{"widget.intercom.io", "js.intercomcdn.com", "api-iam.intercom.io"}, []string{"intercom-id-*", "intercom-session-*"}},
	{"tawk", "functional", []string{"embed.tawk.to", "va.tawk.to"}, []string{"twk_idm_key", "TawkConnectionTime"}},
	{"google-ads", "marketing", []string{"www.googleadservices.com", "googleads.g.doubleclick.net"}, []string{"_gcl_au", "IDE"}},
}

// requests returns those of the hits that are the vendor's.
func (s snippet) requests(hits []hit) (out []string) {
	for _, h := range hits {
		if slices.ContainsFunc(s.hosts, func(place string) bool { return h.Host == place || strings.HasPrefix(h.String(), place) }) {
			out = append(out, h.String())
		}
	}
	return out
}

// handshakes returns the connections opened to hosts that are the vendor's. A
// host that two vendors share counts for both.
func (s snippet) handshakes(names []string) (out []string) {
	for _, name := range names {
		if slices.ContainsFunc(s.hosts, func(place string) bool { host, _, _ := strings.Cut(place, "/"); return host == name }) {
			out = append(out, name)
		}
	}
	return out
}

// left returns the names of the vendor's cookies among all.
func (s snippet) left(all []*network.Cookie) (names []string) {
	for _, c := range all {
		for _, name := range s.cookies {
			prefix, open := strings.CutSuffix(name, "*")
			if c.Name == name || open && strings.HasPrefix(c.Name, prefix) {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// Cookies of the example site itself, set by its server on every page.
var (
	essentialCookies = []string{"sessionid", "csrftoken"}
	serverCookies    = []string{
		"sessionid=s3ss10n; Path=/; HttpOnly; SameSite=Lax",
		"csrftoken=t0k3n; Path=/; SameSite=Lax",
		"_gid=GA1.1.5544332211.1760000000; Path=/; Max-Age=86400",
		"FPID=FPID2.1.abcdef; Path=/; Max-Age=34128000; HttpOnly",
		"_fbc=fb.1.1760000000000.click; Path=/; Max-Age=7776000",
		"_gcl_aw=GCL.1760000000.click; Path=/; Max-Age=7776000; HttpOnly",
	}
)

// serverSet says which category the site's server-set vendor cookies are in.
var serverSet = map[string]string{"_gid": "analytics", "FPID": "analytics", "_fbc": "marketing", "_gcl_aw": "marketing"}

// An upstream is the site's own server, and remembers what it was asked.
type upstream struct {
	server *httptest.Server
	addr   string

	mu   sync.Mutex
	asks []hit
}

func startUpstream(t testing.TB, h http.Handler) *upstream {
	t.Helper()
	u := &upstream{}
	u.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.asks = append(u.asks, hit{Host: r.Host, Path: r.URL.RequestURI(), Method: r.Method, Cookie: strings.Join(r.Header.Values("Cookie"), "; ")})
		u.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	u.addr = u.server.Listener.Addr().String()
	t.Cleanup(u.server.Close)
	return u
}

// take returns the requests since the last take.
func (u *upstream) take() []hit {
	u.mu.Lock()
	defer u.mu.Unlock()
	asks := u.asks
	u.asks = nil
	return asks
}

// exampleSite serves the example site with its cookies.
func exampleSite() http.Handler {
	files := http.FileServer(http.Dir(siteDir))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(sitePages, r.URL.Path) {
			for _, c := range serverCookies {
				w.Header().Add("Set-Cookie", c)
			}
		}
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}

// shotDir is where screenshots go: nowhere near the checkout.
func shotDir(t testing.TB) string {
	if dir := os.Getenv("CONSENTGATE_E2E_SHOTS"); dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	return t.TempDir()
}

// The harness must be able to see a leak: without the gateway every vendor of
// the example site is asked for something and leaves its cookies.
func TestBareSiteLeaks(t *testing.T) {
	s := startSink(t)
	site := startUpstream(t, exampleSite())
	b := startBrowser(t, s, map[string]string{"bare.test": site.addr})
	v := b.visitor(t)
	var all traffic
	for _, p := range sitePages {
		r := v.visit("http://bare.test" + p)
		if !r.Idle {
			t.Errorf("%s was still busy after %v", p, patience)
		}
		for _, e := range r.Errors {
			t.Errorf("%s: console error: %s", p, e)
		}
		all.Hits, all.Names = append(all.Hits, r.Hits...), append(all.Names, r.Names...)
		t.Logf("%-30s %2d requests, %2d handshakes, %2d announced; ran %v; storage %v", p, len(r.Hits), len(r.Names), len(r.Sent), r.Ran, r.Storage)
	}
	v.shot(filepath.Join(shotDir(t), "bare.png"))
	cookies := v.cookies()
	for _, sn := range snippets {
		n, names, left := len(sn.requests(all.Hits)), len(sn.handshakes(all.Names)), sn.left(cookies)
		t.Logf("%-20s %2d requests, %2d handshakes, cookies %v", sn.id, n, names, left)
		if n == 0 || names == 0 {
			t.Errorf("%s: %d requests and %d handshakes seen, want some: the harness is blind to it", sn.id, n, names)
		}
		for _, want := range sn.cookies {
			if len((snippet{cookies: []string{want}}).left(cookies)) == 0 {
				t.Errorf("%s: cookie %s was not set: the harness is blind to it", sn.id, want)
			}
		}
	}
}

// A hint leaks without a request: the sink must see the bare handshake.
func TestSinkSeesPreconnect(t *testing.T) {
	s := startSink(t)
	site := startUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<!DOCTYPE html><link rel="preconnect" href="https://tls.example"><link rel="preconnect" href="http://plain.example"><link rel="icon" href="data:,">hello`))
	}))
	r := startBrowser(t, s, map[string]string{"bare.test": site.addr}).visitor(t).visit("http://bare.test/")
	if len(r.Hits) != 0 || !slices.Contains(r.Names, "tls.example") || r.Silent == 0 {
		t.Errorf("requests %v, handshakes %v, silent connections %d; want none, tls.example, at least one", r.Hits, r.Names, r.Silent)
	}
}
