package rewriter

import (
	"bytes"
	"strings"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// AMP pages hold no scripts of vendors. They hold elements that AMP's own runtime
// turns into frames, pictures and requests: some name a vendor by a keyword, some
// by their own name. Such a vendor is judged by an address it is known for, so
// that a policy file has its say about it as about any other address.

// An ampElement says what AMP makes of an element.
type ampElement struct {
	kind   policy.Kind
	vendor policy.Location // whose widget it is; no host if its attributes say so
	types  ampTypes        // the vendors its type may name, nil if that names none
	config bool            // a JSON script inside names addresses
	inside ampTypes        // the vendors that "type" may name in that JSON
}

// ampTypes are addresses by the keywords that stand for them, in lower case.
type ampTypes map[string]policy.Location

// unnamed stands for a third party that has a keyword and no known address. No
// rule can name it (RFC 2606, section 2).
var unnamed = ampAddress("third-party.invalid/")

func ampAddress(s string) policy.Location {
	i := strings.IndexByte(s, '/')
	return policy.Location{Scheme: []byte("https"), Host: []byte(s[:i]), Path: []byte(s[i:])}
}

func newAMPTypes(addresses map[string]string) ampTypes {
	t := ampTypes{"": {}} // no vendor
	for keyword, address := range addresses {
		t[keyword] = policy.Location{}
		if address != "" {
			t[keyword] = ampAddress(address)
		}
	}
	return t
}

// ampAnalytics are types of amp-analytics.
var ampAnalytics = newAMPTypes(map[string]string{
	"adobeanalytics":              "amp.sc.omtrdc.net/b/ss/",
	"adobeanalytics_nativeconfig": "amp.sc.omtrdc.net/b/ss/",
	"amplitude":                   "api2.amplitude.com/2/httpapi",
	"chartbeat":                   "ping.chartbeat.net/ping",
	"comscore":                    "sb.scorecardresearch.com/b",
	"facebookpixel":               "www.facebook.com/tr",
	"googleadwords":               "www.googleadservices.com/pagead/conversion/",
	"googleanalytics":             "www.google-analytics.com/collect",
	"gtag":                        "www.googletagmanager.com/gtag/js",
	"infonline":                   "de.ioam.de/tx.io",
	"infonline_anonymous":         "de.ioam.de/tx.io",
	"krux":                        "cdn.krxd.net/",
	"metrika":                     "mc.yandex.ru/watch/",
	"newrelic":                    "bam.nr-data.net/amp",
	"nielsen":                     "secure-dcr.imrworldwide.com/cgi-bin/gn",
	"parsely":                     "srv.pixel.parsely.com/plogger/",
	"permutive":                   "api.permutive.com/v2.0/",
	"quantcast":                   "pixel.quantserve.com/pixel",
	"segment":                     "api.segment.io/v1/pixel/page",
	"taboola":                     "trc.taboola.com/",
	"tealiumcollect":              "collect.tealiumiq.com/",
})

// ampAds are types of amp-ad, amp-embed and their like.
var ampAds = newAMPTypes(map[string]string{
	"a9":            "c.amazon-adsystem.com/aax2/apstag.js",
	"adsense":       "pagead2.googlesyndication.com/pagead/js/adsbygoogle.js",
	"adthrive":      "www.googletagservices.com/tag/js/gpt.js",
	"appnexus":      "acdn.adnxs.com/ast/ast.js",
	"criteo":        "static.criteo.net/js/ld/publishertag.js",
	"csa":           "www.google.com/adsense/search/ads.js",
	"custom":        "", // data-url names it
	"doubleclick":   "securepubads.g.doubleclick.net/tag/js/gpt.js",
	"ezoic":         "www.googletagservices.com/tag/js/gpt.js",
	"ix":            "js-sec.indexww.com/apl/amp.js",
	"marfeel":       "www.googletagservices.com/tag/js/gpt.js",
	"mediavine":     "amp.mediavine.com/wrapper.min.js",
	"mgid":          "jsc.mgid.com/",
	"outbrain":      "widgets.outbrain.com/outbrain.js",
	"revcontent":    "labs-cdn.revcontent.com/build/amphtml/revcontent.amp.min.js",
	"smartadserver": "ec-ns.sascdn.com/diff/js/amp.v0.js",
	"taboola":       "cdn.taboola.com/libtrc/",
	"teads":         "a.teads.tv/page/",
	"yandex":        "yastatic.net/partner-code/loaders/context_amp.js",
})

// ampElements are the elements of AMP that load something, without "amp-". Others
// are judged by the addresses in their attributes.
var ampElements = func() map[string]*ampElement {
	t := map[string]*ampElement{
		"ad":             {kind: policy.Frame, types: ampAds},
		"analytics":      {kind: policy.Script, types: ampAnalytics, config: true},
		"anim":           {kind: policy.Image},
		"audio":          {kind: policy.Media},
		"auto-ads":       {kind: policy.Script, types: ampAds},
		"consent":        {kind: policy.Frame, types: newAMPTypes(nil), config: true},
		"embed":          {kind: policy.Frame, types: ampAds},
		"img":            {kind: policy.Image},
		"next-page":      {kind: policy.Frame, config: true},
		"pixel":          {kind: policy.Image},
		"story-auto-ads": {kind: policy.Frame, config: true, inside: ampAds},
		"video":          {kind: policy.Media},
	}
	for name, address := range map[string]string{
		"3q-player":             "playout.3qsdn.com/",
		"addthis":               "s7.addthis.com/js/300/addthis_widget.js",
		"apester-media":         "renderer.apester.com/",
		"beopinion":             "widget.beop.io/sdk.js",
		"brid-player":           "services.brid.tv/services/iframe/",
		"brightcove":            "players.brightcove.net/",
		"connatix-player":       "cds.connatix.com/p/",
		"dailymotion":           "www.dailymotion.com/embed/video/",
		"embedly-card":          "cdn.embedly.com/widgets/",
		"facebook":              "www.facebook.com/plugins/post.php",
		"facebook-comments":     "www.facebook.com/plugins/comments.php",
		"facebook-like":         "www.facebook.com/plugins/like.php",
		"facebook-page":         "www.facebook.com/plugins/page.php",
		"gfycat":                "gfycat.com/ifr/",
		"gist":                  "gist.github.com/",
		"google-document-embed": "docs.google.com/gview",
		"ima-video":             "imasdk.googleapis.com/js/sdkloader/ima3.js",
		"imgur":                 "imgur.com/",
		"instagram":             "www.instagram.com/p/",
		"jwplayer":              "content.jwplatform.com/players/",
		"kaltura-player":        "cdnapisec.kaltura.com/",
		"megaphone":             "player.megaphone.fm/",
		"minute-media-player":   "www.oo-syringe.com/",
		"nexxtv-player":         "embed.nexx.cloud/",
		"o2-player":             "delivery.vidible.tv/",
		"pinterest":             "assets.pinterest.com/js/pinit.js",
		"playbuzz":              "www.playbuzz.com/",
		"powr-player":           "player.powr.com/",
		"recaptcha-input":       "www.google.com/recaptcha/api.js",
		"reddit":                "embed.redditmedia.com/",
		"riddle-quiz":           "www.riddle.com/",
		"skimlinks":             "s.skimresources.com/",
		"smartlinks":            "api.narrativ.com/",
		"soundcloud":            "w.soundcloud.com/player/",
		"story-auto-analytics":  "www.googletagmanager.com/gtag/js",
		"tiktok":                "www.tiktok.com/embed/v2/",
		"twitter":               "platform.twitter.com/widgets.js",
		"vimeo":                 "player.vimeo.com/video/",
		"vine":                  "vine.co/v/",
		"viqeo-player":          "cdn.viqeo.tv/embed/",
		"vk":                    "vk.com/",
		"wistia-player":         "fast.wistia.net/embed/",
		"yotpo":                 "staticw2.yotpo.com/",
		"youtube":               "www.youtube.com/embed/",
	} {
		t[name] = &ampElement{kind: policy.Frame, vendor: ampAddress(address)}
	}
	return t
}()

// anyAMP stands for the elements that ampElements leaves out.
var anyAMP = &ampElement{kind: policy.Frame}

// ampTag returns what AMP makes of the element of that name, and notes if its
// JSON has to be judged.
func (rw *Rewriter) ampTag(name []byte) *ampElement {
	var low [32]byte
	name = name[len("amp-"):]
	if len(name) > len(low) {
		return anyAMP
	}
	e := ampElements[string(asciiLower(low[:0], name))]
	if e == nil {
		return anyAMP
	}
	if e.config {
		rw.ampConfig = e
	}
	return e
}

// asciiLower appends s to dst, with ASCII letters in lower case.
func asciiLower(dst, s []byte) []byte {
	for _, c := range s {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// ampRole returns how an attribute of an AMP element loads something. A vendor's
// widget is built from its data-… attributes and a few others: without them AMP
// builds none.
func ampRole(e *ampElement, name []byte) (role, policy.Kind) {
	var buf [20]byte
	if len(name) > len(buf) {
		name = name[:len(buf)]
	}
	low := asciiLower(buf[:0], name)
	if len(e.vendor.Host) > 0 {
		switch s := string(low); {
		case strings.HasPrefix(s, "data-") && !strings.HasPrefix(s, "data-cg-"),
			s == "src", s == "type", s == "publisher-code", s == "nrtv-account-name", s == "gtag-id":
			return roleWidget, e.kind
		}
	}
	switch string(low) {
	case "src", "config", "data-src", "data-tag", "data-iframe-src":
		return roleURL, e.kind
	case "data-url":
		if e.types != nil {
			return roleURL, e.kind // elsewhere it is a link
		}
	case "poster", "artwork":
		return roleURL, policy.Image
	case "srcset":
		return roleSrcset, policy.Image
	case "srcdoc":
		return roleSrcdoc, policy.Frame
	case "rtc-config", "json":
		return roleJSON, policy.Script
	case "type":
		if e.types != nil {
			return roleKeyword, e.kind
		}
	}
	return noRole, 0
}

// judgeKeyword decides about the vendor that a type names.
func (rw *Rewriter) judgeKeyword(v []byte, t ampTypes, k policy.Kind) policy.Decision {
	var low [32]byte
	if len(v) > len(low) {
		return rw.page.Bound.Resource(k, unnamed)
	}
	loc, ok := t[string(asciiLower(low[:0], v))]
	switch {
	case !ok:
		loc = unnamed
	case len(loc.Host) == 0:
		return allowed
	}
	return rw.page.Bound.Resource(k, loc)
}

// judgeWidget decides about an attribute of a vendor's widget: about the vendor,
// then about the address that the attribute may name besides.
func (rw *Rewriter) judgeWidget(v []byte, e *ampElement) policy.Decision {
	d := rw.page.Bound.Resource(e.kind, e.vendor)
	if d.Action == policy.Allow && bytes.ContainsAny(v, `:/\`) {
		if named := rw.judgeURL(v, e.kind); named.Action == policy.Block {
			return named
		}
	}
	return d
}

// configures reports whether the script at hand, which is data to browsers,
// configures the AMP element in front of it.
func (rw *Rewriter) configures(data []byte) bool {
	if rw.ampConfig == nil {
		return false
	}
	for i := range rw.attrs {
		if a := &rw.attrs[i]; scan.EqualFold(data[a.Name:a.NameEnd], "type") {
			return scan.EqualFold(rw.decode(data[a.Val:a.ValEnd]), "application/json")
		}
	}
	return false
}

// judgeConfig decides about the JSON that configures the element.
func (rw *Rewriter) judgeConfig(text []byte, e *ampElement) policy.Decision {
	typed := false
	for s := (jsonStrings{text: text}); s.next(); {
		v := s.value(rw)
		switch {
		case s.key:
			typed = e.inside != nil && string(v) == "type"
			continue
		case typed:
			if d := rw.judgeKeyword(v, e.inside, e.kind); d.Action == policy.Block {
				return d
			}
		case bytes.ContainsAny(v, `:/\`):
			if d := rw.judgeURL(v, e.kind); d.Action == policy.Block {
				return d
			}
		}
		typed = false
	}
	return allowed
}
