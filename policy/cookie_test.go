package policy

import (
	"regexp"
	"testing"

	"github.com/consentgate/consentgate/consent"
)

func TestCookies(t *testing.T) {
	p := Default()
	type want struct {
		vendor, category string
		reason           Reason
	}
	zero := p.Bind(consent.State{}, page)
	for name, want := range map[string]want{
		"_ga":                 {"google-analytics-4", "analytics", NotGranted},
		"_ga_ABC123":          {"google-analytics-4", "analytics", NotGranted},
		"_gid":                {"google-analytics-4", "analytics", NotGranted},
		"_gat_gtag_UA_1":      {"google-analytics-4", "analytics", NotGranted},
		"_gac_UA-1":           {"google-analytics-4", "marketing", NotGranted},
		"_gcl_au":             {"google-tag-manager", "marketing", NotGranted}, // the cookie's category, not the vendor's
		"_fbp":                {"meta-pixel", "marketing", NotGranted},
		"AMP_TOKEN":           {"google-analytics-4", "analytics", NotGranted}, // longer than AMP_
		"AMP_0123456789":      {"amplitude", "analytics", NotGranted},
		"AMP_MKTG_0123456789": {"amplitude", "analytics", NotGranted},
		"amp_a1b2c3":          {"amplitude", "analytics", NotGranted}, // by expression
		"mp_0123_mixpanel":    {"mixpanel", "analytics", NotGranted},
		"visitor_id123-hash":  {"pardot", "marketing", NotGranted},
		"_hjSession_1":        {"hotjar", "analytics", NotGranted},
		"hubspotutk":          {"hubspot", "marketing", NotGranted},
		"_pk_id.1.abcd":       {"matomo", "analytics", NotGranted},
		"mtm_consent":         {"matomo", "necessary", Granted},
		"_shopify_y":          {"shopify", "analytics", NotGranted},
		"checkout_token":      {"shopify", "necessary", Granted},
		"__stripe_mid":        {"stripe", "necessary", Granted},
		"__cf_bm":             {"cloudflare", "necessary", Granted},
		"AWSALB":              {"aws-load-balancer", "necessary", Granted},
		"__Host-_ga":          {"google-analytics-4", "analytics", NotGranted},
		"__secure-_fbp":       {"meta-pixel", "marketing", NotGranted},

		"sessionid":                             {"", "", Essential},
		"PHPSESSID":                             {"", "", Essential},
		"XSRF-TOKEN":                            {"", "", Essential},
		"JSESSIONID":                            {"", "", Essential},
		"__Host-sessionid":                      {"", "", Essential},
		"__Host-next-auth.csrf-token":           {"", "", Essential},
		"__Secure-next-auth.session-token":      {"", "", Essential},
		"wordpress_logged_in_0123":              {"", "", Essential},
		"SESS0123456789abcdef0123456789abcdef":  {"", "", Essential},
		"SSESS0123456789abcdef0123456789abcdef": {"", "", Essential},
		"OptanonConsent":                        {"", "", Essential},
		"__hs_cookie_cat_pref":                  {"", "", Essential},

		// Near misses.
		"_gaX":                              {"", "", Unclassified},
		"x_ga":                              {"", "", Unclassified},
		"_GA":                               {"", "", Unclassified},
		"phpsessid":                         {"", "", Unclassified},
		"SESS0123":                          {"", "", Unclassified},
		"mp_mixpanel":                       {"", "", Unclassified},
		"__Host-":                           {"", "", Unclassified},
		"\u2000__Host-_ga":                  {"", "", Unclassified}, // F7
		"theme":                             {"", "", Unclassified},
		"cart":                              {"", "", Unclassified}, // broad: only where the policy file names the vendor
		"mf_anything":                       {"", "", Unclassified},
		"_y":                                {"", "", Unclassified},
		"IDE":                               {"", "", Unclassified}, // lives on the vendor's host
		"d":                                 {"", "", Unclassified},
		"datr":                              {"", "", Unclassified},
		"amp_a1":                            {"", "", Unclassified},
		"__Host-Http-unheard-of":            {"", "", Unclassified},
		"SESS0123456789abcdef0123456789abX": {"", "", Unclassified},
	} {
		for _, decide := range []func(string) Decision{zero.SetCookie, zero.RequestCookie} {
			d := decide(name)
			category := ""
			if d.Category >= 0 {
				category = p.Scheme().Categories[d.Category].ID
			}
			if vendorOf(d) != want.vendor || category != want.category || d.Reason != want.reason {
				t.Errorf("%q: %q %q %s, want %v", name, vendorOf(d), category, d.Reason, want)
			}
			if (d.Action == Block) != (want.reason == NotGranted) {
				t.Errorf("%q: %s", name, d.Action)
			}
		}
	}
}

func TestCookieStates(t *testing.T) {
	p := Default()
	for _, test := range []struct {
		name  string
		state consent.State
		want  Action
	}{
		{"_ga", grant(p, "analytics"), Allow},
		{"_ga", grant(p, "marketing"), Block},
		{"_gcl_au", grant(p, "analytics"), Block},
		{"_gcl_au", grant(p, "marketing"), Allow},
		{"intercom-id-abc", grant(p, "functional"), Allow},
		{"intercom-id-abc", grant(p, "analytics"), Block},
		{"sessionid", consent.State{}, Allow},
	} {
		if d := p.Bind(test.state, page).SetCookie(test.name); d.Action != test.want {
			t.Errorf("%s: %s (%s)", test.name, d.Action, d.Reason)
		}
	}
}

// TestNameless is row F3: browsers store cookies without a name.
func TestNameless(t *testing.T) {
	for _, test := range []struct {
		yaml string
		all  bool
		want Action
	}{
		{"", false, Block},
		{"", true, Allow},
		{"unknown: block", true, Block},
		{"cookies: [{name: '', action: allow}]", false, Allow},
		{"cookies: [{name: '', category: analytics}]", false, Block},
		{"cookies: [{name: '', category: analytics}]", true, Allow},
		{"vendors: [{id: hotjar, action: block}]", true, Allow},
	} {
		p := mustParse(t, test.yaml)
		s := grant(p, "functional")
		if test.all {
			s = grantAll(p)
		}
		if d := p.Bind(s, page).SetCookie(""); d.Action != test.want {
			t.Errorf("%q, everything granted: %v: %s (%s)", test.yaml, test.all, d.Action, d.Reason)
		}
	}
}

func TestCookieRules(t *testing.T) {
	p := mustParse(t, `
vendors:
  - {id: mouseflow, name: Mouseflow}
  - id: google-analytics-4
    cookies:
      - {name: _gid, category: functional}
      - {name: "_ga_*", action: allow}
      - {name: _ga_STRICT, category: marketing}
  - {id: matomo, action: allow}
  - {id: hotjar, category: functional}
  - {id: klaviyo, action: block}
  - id: google-universal-analytics
    action: allow
  - id: tealium
    cookies: [{pattern: "ut.+", category: functional}, {name: utag_main, category: functional}, {name: login_tealium, essential: true}, {name: utag_x, action: consent}]
cookies:
  - {name: theme, category: functional}
  - {name: "exp_*", category: analytics}
  - {name: exp_needed, essential: true}
  - {name: "exp_short*", category: functional}
  - {pattern: "t[0-9]+", action: block}
  - {name: _fbp, action: allow}
  - {name: sessionid, category: marketing}
`)
	b := p.Bind(grant(p, "functional"), page)
	for name, want := range map[string]Decision{
		"mf_x":           {Action: Block, Reason: NotGranted}, // the file names the vendor
		"_gid":           {Action: Allow, Reason: Granted},
		"_ga_ABC":        {Action: Allow, Reason: Overridden},
		"_ga_STRICT":     {Action: Block, Reason: NotGranted},
		"_ga":            {Action: Block, Reason: NotGranted}, // shared by two vendors the file names: the stricter counts
		"__utma":         {Action: Allow, Reason: Overridden},
		"_pk_id.1":       {Action: Allow, Reason: Overridden},
		"_hjSession_1":   {Action: Allow, Reason: Granted},
		"__kla_id":       {Action: Block, Reason: Overridden},
		"utag_main":      {Action: Allow, Reason: Granted},
		"utility":        {Action: Allow, Reason: Granted},
		"login_tealium":  {Action: Allow, Reason: Essential},
		"utag_x":         {Action: Block, Reason: NotGranted},
		"theme":          {Action: Allow, Reason: Granted},
		"exp_a":          {Action: Block, Reason: NotGranted},
		"exp_short_1":    {Action: Allow, Reason: Granted}, // the longer prefix
		"exp_needed":     {Action: Allow, Reason: Essential},
		"t12":            {Action: Block, Reason: Overridden},
		"t12x":           {Action: Allow, Reason: Unclassified}, // patterns match the whole name
		"xt12":           {Action: Allow, Reason: Unclassified},
		"_fbp":           {Action: Allow, Reason: Overridden},
		"__Host-_fbp":    {Action: Allow, Reason: Overridden},
		"sessionid":      {Action: Block, Reason: NotGranted}, // the operator's word goes before ours
		"csrftoken":      {Action: Allow, Reason: Essential},
		"__Host-exp_a":   {Action: Block, Reason: NotGranted},
		"__Host-unknown": {Action: Allow, Reason: Unclassified},
	} {
		if d := b.SetCookie(name); d.Action != want.Action || d.Reason != want.Reason {
			t.Errorf("%s: %s (%s), want %s (%s)", name, d.Action, d.Reason, want.Action, want.Reason)
		}
	}
}

// TestMovedVendor: cookies go with their vendor, but for those the catalog sets
// apart from it.
func TestMovedVendor(t *testing.T) {
	p := mustParse(t, "vendors: [{id: google-analytics-4, category: functional}]")
	b := p.Bind(grant(p, "functional"), page)
	if d := b.SetCookie("_ga"); d.Action != Allow {
		t.Errorf("_ga: %+v", d)
	}
	if d := b.SetCookie("_gac_UA-1"); d.Action != Block || d.Category != 3 {
		t.Errorf("_gac_: %+v", d)
	}
}

// TestSharedCookie: a name that two vendors claim follows the one the file names.
func TestSharedCookie(t *testing.T) {
	p := mustParse(t, "vendors: [{id: google-universal-analytics, action: allow}]")
	if d := p.Bind(consent.State{}, page).SetCookie("_ga"); d.Action != Allow || vendorOf(d) != "google-universal-analytics" {
		t.Errorf("%+v", d)
	}
}

func TestUnknownCookiesBlocked(t *testing.T) {
	p := mustParse(t, "unknown: block")
	b := p.Bind(grantAll(p), page)
	if d := b.SetCookie("theme"); d.Action != Block || d.Reason != Unclassified {
		t.Errorf("%+v", d)
	}
	if d := b.SetCookie("sessionid"); d.Action != Allow {
		t.Errorf("%+v", d)
	}
}

// TestLiteralPrefix: the prefix never keeps a name away that matches.
func TestLiteralPrefix(t *testing.T) {
	for expr, want := range map[string]string{
		"^mp_.+_mixpanel$":     "mp_",
		"^S?SESS[0-9a-f]{32}$": "",
		"^(?:t[0-9]+)$":        "t",
		"^(?:abc|abd)$":        "ab",
		"^(?:a|b)$":            "",
		"^a|^ab":               "",
		"^(?:^abc)$":           "abc",
		"^(?:(?i)abc)$":        "",
		"^ab*":                 "a",
	} {
		if got := literalPrefix(regexp.MustCompile(expr)); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}
