package policy

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy/catalog"
)

const page = "www.example.com"

// TestResourceVendor: which vendor an address belongs to under the built-in
// policy, "" for none, "own" for the site's own.
func TestResourceVendor(t *testing.T) {
	b := Default().Bind(consent.State{}, page)
	for _, test := range []struct {
		url, vendor string
	}{
		// One host, two products: the path decides.
		{"https://connect.facebook.net/en_US/fbevents.js", "meta-pixel"},
		{"https://connect.facebook.net/de_DE/fbevents.js", "meta-pixel"},
		{"https://connect.facebook.net/signals/config/123?v=2", "meta-pixel"},
		{"https://connect.facebook.net/en_US/sdk.js", "facebook-embed"},
		{"https://connect.facebook.net/en_US/sdk/xfbml.customerchat.js", "facebook-embed"},
		{"https://www.facebook.com/tr?id=1&ev=PageView&noscript=1", "meta-pixel"},
		{"https://www.facebook.com/plugins/like.php?href=x", "facebook-embed"},
		// Neither path: the owner is known, the strictest of its products counts.
		{"https://connect.facebook.net/", "meta-pixel"},
		{"https://www.facebook.com/other", "meta-pixel"},

		{"https://www.google.com/maps/embed?pb=1", "google-maps"},
		{"https://www.google.com/recaptcha/api.js", "google-recaptcha"},
		{"https://www.gstatic.com/recaptcha/releases/x.js", "google-recaptcha"},
		{"https://www.google.com/pagead/1p-user-list/1/", "google-ads"},
		{"https://www.google.com/ccm/collect", "google-ads"},
		{"https://www.google.com/unheard-of", "google-ads"},
		{"https://www.google.com/", "google-ads"},
		{"https://www.gstatic.com/unheard-of.js", "google-ads"}, // though no strict product names this host
		{"https://fonts.googleapis.com/css2?family=Inter", "google-fonts"},
		{"https://fonts.gstatic.com/s/inter/v1/x.woff2", "google-fonts"},
		{"https://ajax.googleapis.com/ajax/libs/webfont/1.6.26/webfont.js", "google-fonts"},
		{"https://ajax.googleapis.com/ajax/libs/jquery/3.7.1/jquery.min.js", "google-hosted-libraries"},

		// The same path, told apart by a query parameter.
		{"https://www.googletagmanager.com/gtag/js?id=G-ABC123", "google-analytics-4"},
		{"https://www.googletagmanager.com/gtag/js?id=GT-ABC123", "google-analytics-4"},
		{"https://www.googletagmanager.com/gtag/js?l=dl&id=G-ABC123&cx=c", "google-analytics-4"},
		{"https://www.googletagmanager.com/gtag/js?id=AW-123", "google-ads"},
		{"https://www.googletagmanager.com/gtag/js?id=UA-1-1", "google-universal-analytics"},
		{"https://www.googletagmanager.com/gtag/js?id=DC-1", "google-doubleclick"},
		{"https://www.googletagmanager.com/gtag/js?id=XX-1", "google-ads"},
		{"https://www.googletagmanager.com/gtag/js", "google-ads"},
		{"https://www.googletagmanager.com/gtag/js?grid=G-1", "google-ads"},
		{"https://www.googletagmanager.com/gtag/js?id=AW-1&id=G-1", "google-ads"},
		{"https://www.googletagmanager.com/gtm.js?id=GTM-ABC", "google-tag-manager"},
		{"https://www.googletagmanager.com/ns.html?id=GTM-ABC", "google-tag-manager"},
		{"https://www.google-analytics.com/analytics.js", "google-universal-analytics"},
		{"https://www.google-analytics.com/g/collect?v=2", "google-analytics-4"},
		{"https://region1.google-analytics.com/g/collect?v=2", "google-analytics-4"},
		{"https://region1.google-analytics.com/unheard-of", "google-analytics-4"},
		{"https://stats.g.doubleclick.net/g/collect", "google-analytics-4"},
		{"https://stats.g.doubleclick.net/other", "google-doubleclick"},
		{"https://googleads.g.doubleclick.net/pagead/viewthroughconversion/1/", "google-ads"},
		{"https://1234567.fls.doubleclick.net/activityi;src=1", "google-doubleclick"},

		// Hosts and everything below them, on label borders only.
		{"https://px.ads.linkedin.com/collect/?pid=1&fmt=gif", "linkedin-insight"},
		{"https://snap.licdn.com/li.lms-analytics/insight.min.js", "linkedin-insight"},
		{"https://static.licdn.com/x.js", "linkedin-widgets"},
		{"https://static.hotjar.com/c/hotjar-1.js?sv=6", "hotjar"},
		{"https://hotjar.com/", "hotjar"},
		{"https://nothotjar.com/c/hotjar-1.js", ""},
		{"https://hotjar.com.evil.test/c/hotjar-1.js", ""},
		{"https://notfacebook.net/en_US/fbevents.js", ""},
		{"https://facebook.com.evil.test/tr", ""},
		{"https://www.youtube-nocookie.com/embed/abc", "youtube"},
		{"https://youtu.be/abc", "youtube"},
		{"https://player.vimeo.com/video/1", "vimeo"},
		{"https://widget.intercom.io/widget/abc", "intercom"},

		// A "*" inside a label.
		{"https://vsa12.tawk.to/s/", "tawk"},
		{"https://js-eu1.hs-scripts.com/1.js", "hubspot"},
		{"https://nexus-websocket-a.intercom.io/pubsub", "intercom"},
		{"https://collect-eu-west-1.tealiumiq.com/event", "tealium"},

		// Self-hosted copies, also on the page's own host and in subfolders.
		{"https://www.example.com/matomo.js", "matomo"},
		{"https://www.example.com/stats/matomo.php?idsite=1&rec=1", "matomo"},
		{"https://stats.example.org/a/b/piwik.js", "matomo"},
		{"https://www.example.com/ph/static/array.js", "posthog"},
		{"https://www.example.com/js/plausible.outbound-links.js", "plausible"},
		{"https://www.example.com/api/42/envelope/?sentry_key=1", "sentry"},
		{"https://www.example.com/x/api/42/envelope/", "sentry"},
		{"https://www.example.com/api/v2/envelope/", "own"},
		{"https://www.example.com/b/ss/suite/1/", "adobe-experience"},
		{"https://www.example.com/cdn-cgi/rum", "cloudflare-web-analytics"},
		{"https://www.example.com/cdn-cgi/challenge-platform/x.js", "cloudflare"},
		{"https://www.example.com/blog/cdn-cgi/rum", "own"},
		{"https://www.example.com/mymatomo.js", "own"},
		{"https://www.example.com/pd.json", "own"},
		{"https://www.example.com/js/plausiblereader.js", "own"},

		// The site itself and strangers.
		{"https://www.example.com/app.js", "own"},
		{"https://example.com/app.js", "own"},
		{"https://cdn.example.com/app.js", "own"},
		{"https://example.com.evil.test/app.js", ""},
		{"https://evilexample.com/app.js", ""},
		{"https://code.jquery.com/jquery.js", ""},
		{"https://cdnjs.cloudflare.com/ajax/libs/x.js", "cloudflare"},
		{"https://i0.wp.com/example.com/a.jpg", "wordpress-com-files"},
		{"https://stats.wp.com/e-202601.js", "wordpress-stats"},
		{"https://js.stripe.com/v3/", "stripe"},
		{"https://203.0.113.9/matomo.js", "matomo"},
		{"https://203.0.113.9/x.js", ""},
	} {
		d := b.Resource(Script, location(t, test.url))
		got := vendorOf(d)
		if d.Reason == FirstParty {
			got = "own"
		}
		if got != test.vendor {
			t.Errorf("%s: vendor %q, want %q (%s, %s)", test.url, got, test.vendor, d.Action, d.Reason)
		}
		if d.Vendor != nil && d.Category != d.Vendor.Category || d.Vendor == nil && d.Category != -1 {
			t.Errorf("%s: category %d", test.url, d.Category)
		}
	}
}

// TestUpperCasePath: paths are compared as they are; what is spelled oddly falls
// to the stricter rule of its host.
func TestUpperCasePath(t *testing.T) {
	b := Default().Bind(grant(Default(), "functional"), page)
	if d := b.Resource(Frame, location(t, "https://www.google.com/Maps/embed")); d.Action != Block || vendorOf(d) != "google-ads" {
		t.Errorf("%+v", d)
	}
}

func TestResourceStates(t *testing.T) {
	p := Default()
	const (
		ga    = "https://www.googletagmanager.com/gtag/js?id=G-1"
		meta  = "https://connect.facebook.net/en_US/fbevents.js"
		chat  = "https://widget.intercom.io/widget/1"
		pay   = "https://js.stripe.com/v3/"
		fonts = "https://fonts.googleapis.com/css2?family=Inter"
		other = "https://code.jquery.com/jquery.js"
		own   = "https://www.example.com/app.js"
	)
	all := []string{ga, meta, chat, pay, fonts, other, own}
	for _, test := range []struct {
		name    string
		state   consent.State
		allowed []string
	}{
		{"undecided", consent.State{}, []string{pay, other, own}},
		{"refused", consent.State{Decided: true}, []string{pay, other, own}},
		{"chosen but taken away", consent.State{Decided: true, Chosen: p.Scheme().Optional(), Signals: consent.GPC | consent.DNT}, []string{pay, other, own}},
		{"functional", grant(p, "functional"), []string{chat, fonts, pay, other, own}},
		{"analytics", grant(p, "analytics"), []string{ga, pay, other, own}},
		{"marketing", grant(p, "marketing"), []string{meta, pay, other, own}},
		{"all", grantAll(p), all},
	} {
		b := p.Bind(test.state, page)
		for _, raw := range all {
			d := b.Resource(Script, location(t, raw))
			if want := slices.Contains(test.allowed, raw); (d.Action == Allow) != want {
				t.Errorf("%s: %s: %s (%s)", test.name, raw, d.Action, d.Reason)
			}
			if d.Action == Block && d.Reason != NotGranted {
				t.Errorf("%s: %s: reason %s", test.name, raw, d.Reason)
			}
		}
		if b.Unrestricted() != (test.name == "all") {
			t.Errorf("%s: unrestricted %v", test.name, b.Unrestricted())
		}
	}
}

func TestReasons(t *testing.T) {
	p := mustParse(t, "unknown: block\nvendors: [{id: hotjar, action: allow}, {id: youtube, action: block}]\n")
	b := p.Bind(grantAll(p), page)
	for raw, want := range map[string]Decision{
		"https://static.hotjar.com/c/hotjar-1.js":         {Action: Allow, Reason: Overridden},
		"https://www.youtube.com/embed/1":                 {Action: Block, Reason: Overridden},
		"https://connect.facebook.net/en_US/fbevents.js":  {Action: Allow, Reason: Granted},
		"https://www.example.com/a.js":                    {Action: Allow, Reason: FirstParty},
		"https://code.jquery.com/jquery.js":               {Action: Block, Reason: Unclassified},
		"https://challenges.cloudflare.com/turnstile/v0/": {Action: Allow, Reason: Granted},
	} {
		if d := b.Resource(Script, location(t, raw)); d.Action != want.Action || d.Reason != want.Reason {
			t.Errorf("%s: %s (%s)", raw, d.Action, d.Reason)
		}
	}
	if b.Unrestricted() {
		t.Error("unrestricted, though something is blocked whatever is granted")
	}
}

func TestUnrestricted(t *testing.T) {
	for yaml, want := range map[string]bool{
		"":                                       true,
		"unknown: block":                         false,
		"operator_choice: allow":                 true,
		"vendors: [{id: hotjar, action: block}]": false,
		"vendors: [{id: hotjar, action: allow}]": true,
		"vendors: [{id: hotjar, cookies: [{name: _hjid, action: block}]}]":                            false,
		"cookies: [{name: x, action: block}]":                                                         false,
		"cookies: [{name: x, category: marketing}]":                                                   true,
		"categories: [{id: all, fixed: true, covers: [necessary, functional, analytics, marketing]}]": true,
	} {
		p := mustParse(t, yaml)
		if got := p.Bind(grantAll(p), page).Unrestricted(); got != want {
			t.Errorf("%q: %v", yaml, got)
		}
	}
	// A category that nothing belongs to need not be granted.
	p := mustParse(t, "categories: [{id: all, covers: [necessary, functional, analytics, marketing]}, {id: spare}]")
	if !p.Bind(grant(p, "all"), page).Unrestricted() || p.Bind(grant(p, "spare"), page).Unrestricted() {
		t.Error("spare category")
	}
}

// TestHints: a preconnect has no path that could tell the product.
func TestHints(t *testing.T) {
	p := mustParse(t, "vendors: [{id: own, name: Own, category: analytics, url_patterns: [{host: shared.example.org, path: /t.js}, {host: '*.shared.example.net', path: /t.js}]}]")
	b := p.Bind(grant(p, "functional"), page)
	for _, test := range []struct {
		kind   Kind
		url    string
		vendor string
		action Action
	}{
		{Hint, "https://www.google.com/", "google-ads", Block},
		{Hint, "https://connect.facebook.net/", "meta-pixel", Block},
		{Hint, "https://www.googletagmanager.com/", "google-ads", Block},
		{Hint, "https://fonts.gstatic.com/", "google-fonts", Allow},
		{Hint, "https://maps.gstatic.com/", "google-maps", Allow},
		{Hint, "https://static.hotjar.com/", "hotjar", Block},
		{Hint, "https://shared.example.org/", "own", Block},
		{Hint, "https://a.shared.example.net/", "own", Block},
		{Hint, "https://b.shared.example.org/", "", Allow},
		{Hint, "https://shared.example.org/other.js", "", Allow},
		{Image, "https://shared.example.org/", "", Allow},
		{Hint, "https://www.example.com/", "", Allow},
	} {
		d := b.Resource(test.kind, location(t, test.url))
		if vendorOf(d) != test.vendor || d.Action != test.action {
			t.Errorf("%s %s: %s %q", test.kind, test.url, d.Action, vendorOf(d))
		}
	}
	// Without any path at all.
	if d := b.Resource(Hint, Location{Host: []byte("www.google.com")}); d.Action != Block {
		t.Errorf("no path: %s", d.Action)
	}
}

func TestFirstParty(t *testing.T) {
	p := mustParse(t, `
site:
  hosts: [example-cdn.net, "192.0.2.1"]
vendors:
  - {id: cloaked, name: Cloaked, category: analytics, hosts: [metrics.example.com, t.example-cdn.net]}
  - id: here
    name: Here
    category: analytics
    url_patterns: [{host: www.example.com, path: /t/}, {host: example-cdn.net, path: /t/}]
`)
	for _, test := range []struct {
		page, url, want string
	}{
		{page, "https://www.example.com/a.js", "own"},
		{page, "https://static.example.com/a.js", "own"},
		{page, "https://example-cdn.net/a.js", "own"},
		{page, "https://a.example-cdn.net/a.js", "own"},
		{page, "https://192.0.2.1/a.js", "own"},
		{page, "https://notexample-cdn.net/a.js", ""},
		// A tracker that hides under a name of the site's own domain.
		{page, "https://metrics.example.com/a.js", "cloaked"},
		{page, "https://x.metrics.example.com/a.js", "cloaked"},
		{page, "https://t.example-cdn.net/a.js", "cloaked"},
		// Paths of the site that the policy file gives to a vendor.
		{page, "https://www.example.com/t/a.js", "here"},
		{page, "https://example-cdn.net/t/a.js", "here"},
		// A vendor that runs the gateway before its own site is no third party there.
		{"www.facebook.com", "https://www.facebook.com/tr", "own"},
		{"www.hotjar.com", "https://www.hotjar.com/app.js", "own"},
		{"www.hotjar.com", "https://static.hotjar.com/c/hotjar-1.js", "hotjar"},
		// Public suffixes: neighbours are strangers.
		{"alice.github.io", "https://alice.github.io/a.js", "own"},
		{"alice.github.io", "https://bob.github.io/a.js", ""},
		{"www.example.co.uk", "https://img.example.co.uk/a.js", "own"},
		{"www.example.co.uk", "https://other.co.uk/a.js", ""},
		{"github.io", "https://bob.github.io/a.js", ""},
		// Hosts without a registrable domain.
		{"localhost", "http://localhost/a.js", "own"},
		{"localhost", "http://a.localhost/a.js", ""},
		{"127.0.0.1", "http://127.0.0.1/a.js", "own"},
		{"127.0.0.1", "http://126.0.0.1/a.js", ""},
		{"[::1]", "http://[::1]/a.js", "own"},
		{"::1", "http://[::1]/a.js", "own"},
		{"::1", "http://[::2]/a.js", ""},
		{"www.example.com.", "https://www.example.com/a.js", "own"},
		{"", "https://www.example.org/a.js", ""},
		{"shop.internal", "https://img.shop.internal/a.js", "own"},
	} {
		d := p.Bind(consent.State{}, test.page).Resource(Script, location(t, test.url))
		got := vendorOf(d)
		if d.Reason == FirstParty {
			got = "own"
		}
		if got != test.want {
			t.Errorf("page %s: %s: %q, want %q", test.page, test.url, got, test.want)
		}
	}
}

func TestNoHost(t *testing.T) {
	b := Default().Bind(consent.State{}, "")
	if d := b.Resource(Script, Location{}); d.Reason != Unclassified {
		t.Errorf("%+v", d)
	}
}

func TestOverrides(t *testing.T) {
	p := mustParse(t, `
operator_choice: allow
vendors:
  - {id: google-analytics-4, category: functional}
  - {id: matomo, hosts: [stats.example.org]}
  - {id: hotjar, url_patterns: [{host: "*", path: /hj/}]}
  - {id: sentry, category: analytics}
  - {id: own-fonts, name: Own fonts, category: functional, hosts: [fonts.gstatic.com]}
  - {id: blocked, name: Blocked, action: block, hosts: [ads.example.org]}
  - {id: eu, name: EU, category: marketing, url_patterns: [{host: "eu*-x.example.io"}]}
  - {id: gtag-any, name: Any gtag, category: functional, url_patterns: [{host: www.googletagmanager.com, path: /gtag/js}]}
`)
	b := p.Bind(grant(p, "functional"), page)
	for _, test := range []struct {
		url, vendor string
		action      Action
	}{
		{"https://www.googletagmanager.com/gtag/js?id=G-1", "google-analytics-4", Allow},
		{"https://www.googletagmanager.com/gtag/js?id=AW-1", "google-ads", Block}, // longer than gtag-any
		{"https://www.googletagmanager.com/gtag/js?id=QQ-1", "gtag-any", Allow},
		{"https://stats.example.org/js/container.js", "matomo", Block},
		{"https://www.example.com/a/hj/x.js", "hotjar", Block},
		{"https://browser.sentry-cdn.com/7/bundle.js", "sentry", Block}, // a category answers the open question
		{"https://js-agent.newrelic.com/nr.js", "new-relic", Allow},
		{"https://fonts.gstatic.com/s/x.woff2", "google-fonts", Allow}, // url_patterns go before hosts
		{"https://ads.example.org/x.js", "blocked", Block},
		{"https://eu7-x.example.io/a.js", "eu", Block},
		{"https://eu7-x.b.example.io/a.js", "", Allow},
		{"https://eu-x.example.io/a.js", "eu", Block},
		{"https://eu.example.io/a.js", "", Allow},
	} {
		d := b.Resource(Script, location(t, test.url))
		if vendorOf(d) != test.vendor || d.Action != test.action {
			t.Errorf("%s: %q %s (%s), want %q %s", test.url, vendorOf(d), d.Action, d.Reason, test.vendor, test.action)
		}
	}
	if d := p.Bind(grantAll(p), page).Resource(Script, location(t, "https://ads.example.org/x.js")); d.Action != Block {
		t.Error("a vendor that is always blocked was allowed")
	}
}

func TestOperatorChoice(t *testing.T) {
	const fonts = "https://fonts.googleapis.com/css2?family=Inter"
	allow := mustParse(t, "operator_choice: allow")
	for _, test := range []struct {
		p    *Policy
		s    consent.State
		want Action
	}{
		{Default(), consent.State{}, Block},
		{Default(), grant(Default(), "functional"), Allow},
		{allow, consent.State{}, Allow},
	} {
		if d := test.p.Bind(test.s, page).Resource(Style, location(t, fonts)); d.Action != test.want || vendorOf(d) != "google-fonts" {
			t.Errorf("%s: %+v", test.want, d)
		}
	}
	if d := allow.Bind(consent.State{}, page).SetCookie("_dd_s"); d.Action != Allow || d.Reason != Overridden {
		t.Errorf("cookie of a vendor never touched: %+v", d)
	}
}

// TestOwnBeforeCatalog: of two rules of the same length the policy file's counts.
func TestOwnBeforeCatalog(t *testing.T) {
	p := mustParse(t, "vendors: [{id: mine, name: Mine, category: functional, url_patterns: [{host: connect.facebook.net, path: '/*/fbevents.js'}]}]")
	if d := p.Bind(consent.State{}, page).Resource(Script, location(t, "https://connect.facebook.net/en_US/fbevents.js")); vendorOf(d) != "mine" {
		t.Errorf("%q", vendorOf(d))
	}
}

// example makes an address that an address pattern matches.
func example(u catalog.URLPattern) string {
	host := strings.Replace(u.Host, "*", "x", 1)
	if u.Host == "*" {
		host = "other.example.org"
	}
	path := strings.ReplaceAll(strings.ReplaceAll(u.Path, "[0-9]+", "42"), "*", "x")
	q := url.Values{}
	for name, re := range u.Query {
		q.Set(name, strings.NewReplacer("^", "", "(G|GT)", "G", ".*", "1").Replace(re)+"1")
	}
	return "https://" + host + path + "?" + q.Encode()
}

// TestZeroStateBlocks: nothing that the catalog knows and that needs consent
// passes for a visitor who has said nothing, and all of it passes for one who
// has granted everything.
func TestZeroStateBlocks(t *testing.T) {
	p := Default()
	zero, all := p.Bind(consent.State{}, page), p.Bind(grantAll(p), page)
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, v := range cat.Vendors {
		var urls []string
		for _, u := range slices.Concat(v.URLPatterns, v.NoscriptPatterns, v.BeaconEndpoints) {
			urls = append(urls, example(u))
		}
		for _, h := range slices.Concat(v.Hosts, v.SharedHosts) {
			urls = append(urls, "https://"+h+"/", "https://"+h+"/unheard-of", "https://sub."+h+"/")
		}
		for _, raw := range urls {
			loc := location(t, raw)
			for _, k := range []Kind{Script, Image, Frame, Hint} {
				d := zero.Resource(k, loc)
				if d.Vendor == nil {
					t.Errorf("%s: %s belongs to nobody", v.ID, raw)
					continue
				}
				free := v.Category == "necessary" || d.Vendor.Category == 0
				if (d.Action == Allow) != free {
					t.Errorf("%s: %s: %s by %s", v.ID, raw, d.Action, d.Vendor.ID)
				}
				if all.Resource(k, loc).Action != Allow {
					t.Errorf("%s: %s held though everything is granted", v.ID, raw)
				}
				checked++
			}
		}
		for _, k := range v.Cookies {
			if k.Party != "first" || k.Broad || k.Match == "regex" {
				continue
			}
			if d := zero.SetCookie(k.Name); (d.Action == Allow) != (k.Category == "necessary") {
				t.Errorf("%s: cookie %s: %s (%s)", v.ID, k.Name, d.Action, d.Reason)
			}
			if all.SetCookie(k.Name).Action != Allow {
				t.Errorf("%s: cookie %s held though everything is granted", v.ID, k.Name)
			}
			checked++
		}
	}
	if checked < 1500 {
		t.Errorf("only %d checks", checked)
	}
}

func TestVariant(t *testing.T) {
	p := Default()
	seen := map[string]bool{}
	for set := consent.Set(0); set < 16; set++ {
		v := p.Bind(consent.State{Granted: set}, page).Variant()
		seen[v] = true
		if v == "" || len(v) > 16 || strings.Trim(v, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Errorf("variant %q", v)
		}
		if other := p.Bind(consent.State{Granted: set, Decided: true}, "other.example").Variant(); other != v {
			t.Error("the variant depends on more than policy and grants")
		}
	}
	if len(seen) != 8 { // the fixed category makes no difference
		t.Errorf("%d variants of 8 states", len(seen))
	}
	if v := mustParse(t, "version: 2").Bind(consent.State{}, page).Variant(); seen[v] {
		t.Error("another policy has the same variant")
	}
}

func TestGranted(t *testing.T) {
	p := Default()
	if g := p.Bind(grant(p, "analytics"), page).Granted(); g != consent.Set(0).With(0).With(2) {
		t.Errorf("%b", g)
	}
	if p.Bind(consent.State{}, page).Policy() != p {
		t.Error("Policy")
	}
}
