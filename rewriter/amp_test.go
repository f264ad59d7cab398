package rewriter

import (
	"strings"
	"testing"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
)

// TestAMPVendors: elements and keywords lead to the catalog's vendors.
func TestAMPVendors(t *testing.T) {
	for in, want := range map[string]string{
		`<amp-analytics type=gtag>`:                                                   "google-ads", // the strictest product behind that tag
		`<amp-analytics type=googleanalytics>`:                                        "google-universal-analytics",
		`<amp-analytics type=googleadwords>`:                                          "google-ads",
		`<amp-analytics type=facebookpixel>`:                                          "meta-pixel",
		`<amp-analytics type=FacebookPixel>`:                                          "meta-pixel",
		`<amp-analytics type="facebook&#112;ixel">`:                                   "meta-pixel",
		`<amp-analytics type=adobeanalytics>`:                                         "adobe-experience",
		`<amp-analytics type=adobeanalytics_nativeConfig>`:                            "adobe-experience",
		`<amp-analytics type=amplitude>`:                                              "amplitude",
		`<amp-analytics type=chartbeat>`:                                              "chartbeat",
		`<amp-analytics type=comscore>`:                                               "comscore",
		`<amp-analytics type=newrelic>`:                                               "new-relic",
		`<amp-analytics type=quantcast>`:                                              "quantcast",
		`<amp-analytics type=segment>`:                                                "segment",
		`<amp-analytics type=taboola>`:                                                "taboola",
		`<amp-analytics type=tealiumcollect>`:                                         "tealium",
		`<amp-analytics config="https://www.googletagmanager.com/amp.json?id=GTM-X">`: "google-tag-manager",
		`<amp-ad type=adsense>`:                                                       "google-doubleclick",
		`<amp-ad type=doubleclick>`:                                                   "google-doubleclick",
		`<amp-ad type=adthrive>`:                                                      "google-doubleclick",
		`<amp-ad type=a9>`:                                                            "amazon-ads",
		`<amp-ad type=criteo>`:                                                        "criteo",
		`<amp-ad type=csa>`:                                                           "google-ads",
		`<amp-embed type=outbrain>`:                                                   "outbrain",
		`<amp-embed type=taboola>`:                                                    "taboola",
		`<amp-auto-ads type=adsense>`:                                                 "google-doubleclick",
		`<amp-youtube data-videoid=x>`:                                                "youtube",
		`<AMP-YouTube DATA-VIDEOID=x>`:                                                "youtube",
		`<amp-youtube data-live-channelid=x>`:                                         "youtube",
		`<amp-vimeo data-videoid=x>`:                                                  "vimeo",
		`<amp-facebook data-href=x>`:                                                  "facebook-embed",
		`<amp-facebook-comments data-href=x>`:                                         "facebook-embed",
		`<amp-facebook-like data-href=x>`:                                             "facebook-embed",
		`<amp-facebook-page data-href=x>`:                                             "facebook-embed",
		`<amp-twitter data-timeline-source-type=x>`:                                   "x-embed",
		`<amp-instagram data-shortcode=x>`:                                            "instagram-embed",
		`<amp-soundcloud data-trackid=x>`:                                             "soundcloud",
		`<amp-pinterest data-do=x>`:                                                   "pinterest-widgets",
		`<amp-addthis data-pub-id=x>`:                                                 "addthis",
		`<amp-recaptcha-input data-sitekey=x>`:                                        "google-recaptcha",
		`<amp-tiktok data-src=x>`:                                                     "tiktok-pixel",
		`<amp-story-auto-analytics gtag-id=x>`:                                        "google-ads",
		`<amp-ima-video data-tag="https://securepubads.g.doubleclick.net/gampad/ads?x">`: "google-doubleclick",
	} {
		out, _ := rewrite(t, []byte(in), 0, testPage(denied()))
		if !strings.Contains(string(out), " data-cg-vendor="+want+" ") {
			t.Errorf("%s: no %s in %s", in, want, out)
		}
		if string(restore(out)) != in {
			t.Errorf("%s: %s", in, out)
		}
	}
}

// TestAMPAddresses: what stands for a vendor is an address that the policy's own
// parser would make, and every vendor's widget is held as a whole.
func TestAMPAddresses(t *testing.T) {
	check := func(name string, loc policy.Location) {
		t.Helper()
		var b baseURL
		b.reset("https", testHost, "/")
		var got policy.Location
		if b.resolve([]byte("https://"+string(loc.Host)+string(loc.Path)), &got) != urlNet ||
			string(got.Host) != string(loc.Host) || string(got.Path) != string(loc.Path) {
			t.Errorf("%s: %s%s is %s%s to the parser", name, loc.Host, loc.Path, got.Host, got.Path)
		}
	}
	for name, e := range ampElements {
		if name != strings.ToLower(name) || len(name) > 32 {
			t.Errorf("%s is never found", name)
		}
		if len(e.vendor.Host) > 0 {
			check(name, e.vendor)
		}
		for keyword, loc := range e.types {
			if keyword != strings.ToLower(keyword) || len(keyword) > 32 {
				t.Errorf("%s: %s is never found", name, keyword)
			}
			if len(loc.Host) > 0 {
				check(keyword, loc)
			}
		}
	}
}

// TestAMPUnnamed: a keyword without an address is a third party that no rule names.
func TestAMPUnnamed(t *testing.T) {
	strict, err := policy.Parse("p.yaml", []byte("version: \"1\"\nunknown: block\nvendors:\n  - id: brightcove\n    name: Brightcove\n    category: marketing\n    hosts: [brightcove.net]\n"))
	if err != nil {
		t.Fatal(err)
	}
	for in, held := range map[string][2]bool{ // by the built-in policy, and by one that blocks what it does not know
		`<amp-analytics type=nosuchvendor>`:                             {false, true},
		`<amp-analytics type=` + strings.Repeat("x", 100) + `>`:         {false, true},
		`<amp-ad type=nosuchnetwork>`:                                   {false, true},
		`<amp-consent type=nosuchplatform>`:                             {false, true},
		`<amp-ad type=custom data-url=/ad>`:                             {false, false},
		`<amp-analytics type="">`:                                       {false, false},
		`<amp-analytics>`:                                               {false, false},
		`<amp-brightcove data-account=1>`:                               {false, true},
		`<amp-video type="video/mp4" src=/a.mp4>`:                       {false, false},
		`<amp-timeago data-x=1 type=x>`:                                 {false, false},
		`<amp-made-up src="https://cdn.example/x">`:                     {false, true},
		`<amp-a-name-that-is-longer-than-any-of-them src=/x type=gtag>`: {false, false},
		`<ampyoutube data-videoid=x>`:                                   {false, false},
		`<amp data-videoid=x>`:                                          {false, false},
		`<x-amp-youtube data-videoid=x>`:                                {false, false},
	} {
		for i, p := range []policy.Bound{denied(), strict.Bind(consent.State{}, testHost)} {
			out, _ := rewrite(t, []byte(in), 0, testPage(p))
			if got := string(out) != in; got != held[i] {
				t.Errorf("policy %d: %s: held is %v: %s", i, in, got, out)
			}
		}
	}
	out, _ := rewrite(t, []byte(`<amp-brightcove data-account=1>`), 0, testPage(strict.Bind(consent.State{}, testHost)))
	if !strings.Contains(string(out), "data-cg-vendor=brightcove") {
		t.Errorf("the policy file's vendor is not seen: %s", out)
	}
}

// TestAMPConfig: which JSON configures an AMP element.
func TestAMPConfig(t *testing.T) {
	json := `<script type="application/json">{"requests":{"a":"` + blockedImage + `"}}</script>`
	quoted := strings.ReplaceAll(json, "https://", `https:\/\/`)
	for in, held := range map[string]bool{
		`<amp-analytics>` + json + `</amp-analytics>`:                                                true,
		`<amp-analytics>` + quoted + `</amp-analytics>`:                                              true,
		`<amp-analytics id=x>` + "\n <!-- x -->" + json + `</amp-analytics>`:                         true,
		`<noscript><p title="</noscript>"></noscript><amp-analytics><!--<script>--></script>` + json: true,
		json:                                    false,
		`<amp-img src=/a.png></amp-img>` + json: false,
		`<amp-state id=x>` + json + `</amp-state>`:                                                                        false,
		`<amp-analytics></amp-analytics><script src=/a.js></script>` + json:                                               false,
		`<amp-analytics><script type="application/json">{"` + blockedImage + `":"/x"}</script>`:                           false,
		`<amp-analytics><script type="application/json">{"vars":{"type":"gtag"}}</script>`:                                false,
		`<amp-analytics><script type="application/json">{"vars":{"a":"https://site.test/x","b":"${x}/y"}}</script>`:       false,
		`<amp-analytics><script type="application/json">{"a":"` + blockedImage:                                            false, // does not end: no JSON
		`<amp-analytics><script type="text/plain">{"a":"` + blockedImage + `"}</script>`:                                  false,
		`<amp-analytics><script type="APPLICATION/JSON">{"a":["x",{"b":"` + blockedImage + `"}]}</script>`:                true,
		`<amp-story-auto-ads><script type="application/json">{"ad-attributes":{"type":"adsense"}}</script>`:               true,
		`<amp-story-auto-ads><script type="application/json">{"ad-attributes":{"x":"adsense","type" :"custom"}}</script>`: false,
	} {
		whole, _ := rewrite(t, []byte(in), 0, testPage(denied()))
		if got := string(whole) != in; got != held {
			t.Errorf("%s: held is %v: %s", in, got, whole)
		}
		if string(restore(whole)) != in {
			t.Errorf("%s: %s", in, whole)
		}
		for _, size := range sizes[1:] {
			if out, _ := rewrite(t, []byte(in), size, testPage(denied())); string(out) != string(whole) {
				t.Errorf("size %d differs\nin:    %s\nwhole: %s\nout:   %s", size, in, whole, out)
			}
		}
	}
}

// TestLongRareTags: tags that are judged attribute by attribute keep their roles.
func TestLongRareTags(t *testing.T) {
	pad := ` data-x="` + strings.Repeat("x ", 40<<10) + `"`
	for in, want := range map[string]string{
		`<amp-analytics` + pad + ` type=gtag></amp-analytics>`:                    " data-cg-type=gtag",
		`<amp-iframe` + pad + ` src="https://www.youtube.com/embed/x">`:           ` data-cg-src="https:`,
		`<amp-youtube data-videoid=x` + pad + `>`:                                 " data-cg-data-videoid=x",
		`<param name=movie` + pad + ` value="https://www.youtube.com/embed/x">`:   ` data-cg-value="https:`,
		`<object` + pad + ` codebase="https://www.youtube.com/" data=x></object>`: ` data-cg-codebase="https:`,
		`<a` + pad + ` href="javascript:` + blockedLoader + `">x</a>`:             ` data-cg-href="javascript:`,
		`<svg><pattern` + pad + ` href="` + blockedImage + `"/></svg>`:            ` data-cg-href="https:`,
		`<svg><a` + pad + ` href="` + blockedImage + `">x</a></svg>`:              ` href="https:`,
	} {
		whole, _ := rewrite(t, []byte(in), 0, testPage(denied()))
		if !strings.Contains(string(whole), want) {
			t.Errorf("no %s in %.40s…%s", want, whole, whole[len(whole)-120:])
		}
		if string(restore(whole)) != in {
			t.Errorf("not restored: %.40s", in)
		}
		for _, size := range []int{1, 1000, 4097} {
			if out, _ := rewrite(t, []byte(in), size, testPage(denied())); string(out) != string(whole) {
				t.Errorf("size %d differs: %.40s…", size, in)
			}
		}
	}
}
