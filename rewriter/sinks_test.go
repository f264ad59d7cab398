package rewriter

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/policy"
)

// A sinkVerdict says what becomes of a sink that names a vendor who is not granted.
type sinkVerdict string

const (
	rewritten    sinkVerdict = "rewritten"     // held in the page
	inHeader     sinkVerdict = "header"        // taken out of a header, or a header stands over the page
	outOfReach   sinkVerdict = "out of reach"  // loads, and the rewriter leaves it
	loadsNothing sinkVerdict = "loads nothing" // in browsers of today, unless the visitor goes there
)

// A loadingSink is one way in which a page may load something. In doc, §S is a script,
// §P a picture, §F a frame, §H a host and §L inline code, blocked ones at first,
// then the site's own.
type loadingSink struct {
	name    string
	verdict sinkVerdict
	doc     string
	own     string // the same without a vendor, where doc names none by those signs
}

// sinks lists every row of docs/coverage.md.
var sinks = []loadingSink{
	// Scripts.
	{name: "script src", verdict: rewritten, doc: `<script src="§S"></script>`},
	{name: "script type=module src", verdict: rewritten, doc: `<script type=module src="§S"></script>`},
	{name: "script nomodule src", verdict: rewritten, doc: `<script nomodule src="§S"></script>`},
	{name: "svg script href", verdict: rewritten, doc: `<svg><script href="§S"></script></svg>`},
	{name: "svg script xlink:href", verdict: rewritten, doc: `<svg><script xlink:href="§S"></script></svg>`},
	{name: "inline script", verdict: rewritten, doc: `<script>§L</script>`},
	{name: "inline module", verdict: rewritten, doc: `<script type=module>§L</script>`},
	{name: "inline import statement", verdict: rewritten, doc: `<script type=module>import "§S";</script>`},
	{name: "inline import()", verdict: rewritten, doc: `<script>import("§S")</script>`},
	{name: "inline fetch", verdict: rewritten, doc: `<script>fetch("§S")</script>`},
	{name: "inline beacon", verdict: rewritten, doc: `<script>navigator.sendBeacon("https://px.ads.linkedin.com/collect?x")</script>`, own: `<script>navigator.sendBeacon("/collect?x")</script>`},
	{name: "inline pixel", verdict: rewritten, doc: `<script>new Image().src="https://px.ads.linkedin.com/collect?x"</script>`, own: `<script>new Image().src="/collect?x"</script>`},
	{name: "inline worker", verdict: rewritten, doc: `<script>new Worker("§S")</script>`},
	{name: "inline importScripts in a blob worker", verdict: outOfReach, doc: `<script>new Worker(URL.createObjectURL(new Blob(["importScripts('§S')"])))</script>`},
	{name: "inline document.write", verdict: rewritten, doc: `<script>document.write('<script src="§S"><\/script>')</script>`},
	{name: "inline unlisted loader", verdict: outOfReach, doc: `<script>var h="connect.face"+"book.net";fetch("//"+h+"/en_US/fbe"+"vents.js")</script>`},
	{name: "own external script", verdict: outOfReach, doc: `<script src="/loads-fbevents.js"></script>`},
	{name: "own external module's imports", verdict: outOfReach, doc: `<script type=module src="/imports-vendor.js"></script>`},
	{name: "service worker registration", verdict: outOfReach, doc: `<script>navigator.serviceWorker.register("/sw.js")</script>`},
	{name: "event handler", verdict: rewritten, doc: `<img src="/a.png" onerror="§L">`},
	{name: "event handler of a body", verdict: rewritten, doc: `<body onload="§L">`},
	{name: "script type=importmap", verdict: rewritten, doc: `<script type=importmap>{"imports":{"own":"/own.js","fb":"§S"}}</script>`},
	{name: "importmap scopes", verdict: rewritten, doc: `<script type=importmap>{"scopes":{"/x/":{"fb":"§S"}}}</script>`},
	{name: "script type=speculationrules", verdict: rewritten, doc: `<script type=speculationrules>{"prefetch":[{"source":"list","urls":["§S"]}]}</script>`},
	{name: "speculation rules over all links", verdict: rewritten, doc: `<script type=speculationrules>{"prefetch":[{"where":{"selector_matches":"a"}}]}</script>`,
		own: `<script type=speculationrules>{"prefetch":[{"where":{"href_matches":"/*"}}]}</script>`},
	{name: "script type=webbundle", verdict: rewritten, doc: `<script type=webbundle>{"source":"§S"}</script>`},
	{name: "script type=application/ld+json", verdict: loadsNothing, doc: `<script type="application/ld+json">{"image":"§P"}</script>`},
	{name: "script type=application/json", verdict: loadsNothing, doc: `<script type="application/json">{"src":"§S"}</script>`},
	{name: "script attributionsrc", verdict: rewritten, doc: `<script src="/a.js" attributionsrc="§P"></script>`},
	// Addresses that carry their content.
	{name: "script src=data:", verdict: rewritten, doc: `<script src="data:text/javascript,§L"></script>`},
	{name: "iframe src=data:", verdict: rewritten, doc: `<iframe src="data:text/html,<script src=§S></script>"></iframe>`},
	{name: "iframe src=javascript:", verdict: rewritten, doc: `<iframe src="javascript:'<script src=§S></script>'"></iframe>`},
	{name: "a href=javascript:", verdict: rewritten, doc: `<a href="javascript:§L">x</a>`},
	{name: "area href=javascript:", verdict: rewritten, doc: `<map><area href="javascript:§L"></map>`},
	{name: "svg a href=javascript:", verdict: rewritten, doc: `<svg><a href="javascript:§L"><text>x</text></a></svg>`},
	{name: "form action=javascript:", verdict: rewritten, doc: `<form action="javascript:§L"><button>x</button></form>`},
	{name: "button formaction=javascript:", verdict: rewritten, doc: `<form><button formaction="javascript:§L">x</button></form>`},
	{name: "input formaction=javascript:", verdict: rewritten, doc: `<form><input type=submit formaction="javascript:§L"></form>`},
	{name: "svg set to=javascript:", verdict: rewritten, doc: `<svg><a><set attributeName=href to="javascript:§L"/><text>x</text></a></svg>`},
	{name: "svg animate values=javascript:", verdict: rewritten, doc: `<svg><a><animate attributeName=href values="#;javascript:§L"/><text>x</text></a></svg>`},
	{name: "mathml href=javascript:", verdict: rewritten, doc: `<math><mi href="javascript:§L">x</mi></math>`},
	{name: "a href=data:", verdict: loadsNothing, doc: `<a href="data:text/html,<script src=§S></script>">x</a>`},
	{name: "iframe src=blob:", verdict: loadsNothing, doc: `<iframe src="blob:https://site.test/1"></iframe>`},
	{name: "iframe src=filesystem:", verdict: loadsNothing, doc: `<iframe src="filesystem:https://site.test/temporary/x.html"></iframe>`},
	{name: "iframe src=view-source:", verdict: loadsNothing, doc: `<iframe src="view-source:§F"></iframe>`},
	// Pictures and media.
	{name: "img src", verdict: rewritten, doc: `<img src="§P">`},
	{name: "img srcset", verdict: rewritten, doc: `<img srcset="/a.png 1x, §P 2x">`},
	{name: "img sizes", verdict: loadsNothing, doc: `<img src="/a.png" sizes="100vw">`},
	{name: "img attributionsrc", verdict: rewritten, doc: `<img src="/a.png" attributionsrc="§P">`},
	{name: "image", verdict: rewritten, doc: `<image src="§P">`},
	{name: "picture source srcset", verdict: rewritten, doc: `<picture><source srcset="§P" type="image/webp"><img src="/a.png"></picture>`},
	{name: "video src", verdict: rewritten, doc: `<video src="§P"></video>`},
	{name: "video poster", verdict: rewritten, doc: `<video poster="§P"></video>`},
	{name: "video source src", verdict: rewritten, doc: `<video><source src="§P" type="video/mp4"></video>`},
	{name: "audio src", verdict: rewritten, doc: `<audio src="§P"></audio>`},
	{name: "track src", verdict: rewritten, doc: `<video><track src="§P"></video>`},
	{name: "input type=image src", verdict: rewritten, doc: `<input src="§P" alt=x type=image>`},
	{name: "background", verdict: rewritten, doc: `<table background="§P"></table>`},
	{name: "model src", verdict: rewritten, doc: `<model src="§P"></model>`},
	{name: "model environmentmap", verdict: rewritten, doc: `<model src="/a.usdz" environmentmap="§P"></model>`},
	{name: "img lowsrc", verdict: loadsNothing, doc: `<img src="/a.png" lowsrc="§P">`},
	{name: "img dynsrc", verdict: loadsNothing, doc: `<img src="/a.png" dynsrc="§P">`},
	{name: "img longdesc", verdict: loadsNothing, doc: `<img src="/a.png" longdesc="§P">`},
	{name: "bgsound", verdict: loadsNothing, doc: `<bgsound src="§P">`},
	// Frames and objects.
	{name: "iframe src", verdict: rewritten, doc: `<iframe src="§F"></iframe>`},
	{name: "iframe srcdoc", verdict: rewritten, doc: `<iframe srcdoc="<script src=§S></script>"></iframe>`},
	{name: "frame src", verdict: rewritten, doc: `<frameset><frame src="§F"></frameset>`},
	{name: "embed src", verdict: rewritten, doc: `<embed src="§F" type="text/html">`},
	{name: "object data", verdict: rewritten, doc: `<object data="§F" type="text/html"></object>`},
	{name: "object codebase", verdict: rewritten, doc: `<object codebase="https://www.youtube.com/" data="v/x"></object>`, own: `<object codebase="https://site.test/" data="v/x"></object>`},
	{name: "embed codebase", verdict: rewritten, doc: `<embed codebase="https://www.youtube.com/embed/" src="x">`, own: `<embed codebase="https://site.test/embed/" src="x">`},
	{name: "object param", verdict: rewritten, doc: `<object type="text/html"><param name=movie value="§F"></object>`},
	{name: "object classid", verdict: loadsNothing, doc: `<object classid="§F"></object>`},
	{name: "object archive", verdict: loadsNothing, doc: `<object archive="§F"></object>`},
	{name: "applet", verdict: loadsNothing, doc: `<applet code="x.class" codebase="§F" archive="§F"></applet>`},
	{name: "portal src", verdict: rewritten, doc: `<portal src="§F"></portal>`},
	{name: "fencedframe src", verdict: rewritten, doc: `<fencedframe src="§F"></fencedframe>`},
	{name: "template shadowrootmode", verdict: rewritten, doc: `<div><template shadowrootmode=open><img src="§P"></template></div>`},
	// Links.
	{name: "link stylesheet", verdict: rewritten, doc: `<link rel=stylesheet href="§S">`},
	{name: "link alternate stylesheet", verdict: rewritten, doc: `<link rel="alternate stylesheet" href="§S">`},
	{name: "link preload stylesheet", verdict: rewritten, doc: `<link rel="preload stylesheet" as=style href="§S">`},
	{name: "link preload", verdict: rewritten, doc: `<link rel=preload as=script href="§S">`},
	{name: "link preload imagesrcset", verdict: rewritten, doc: `<link rel=preload as=image href="/a.png" imagesrcset="§P 2x" imagesizes="100vw">`},
	{name: "link modulepreload", verdict: rewritten, doc: `<link rel=modulepreload href="§S">`},
	{name: "link prefetch", verdict: rewritten, doc: `<link rel=prefetch href="§S">`},
	{name: "link prerender", verdict: rewritten, doc: `<link rel=prerender href="§S">`},
	{name: "link preconnect", verdict: rewritten, doc: `<link rel=preconnect href="https://§H">`},
	{name: "link dns-prefetch", verdict: rewritten, doc: `<link rel=dns-prefetch href="//§H">`},
	{name: "link icon", verdict: rewritten, doc: `<link rel="shortcut icon" href="§P">`},
	{name: "link mask-icon", verdict: rewritten, doc: `<link rel=mask-icon href="§P">`},
	{name: "link apple-touch-icon", verdict: rewritten, doc: `<link rel=apple-touch-icon href="§P">`},
	{name: "link manifest", verdict: rewritten, doc: `<link rel=manifest href="§S">`},
	{name: "link next", verdict: rewritten, doc: `<link rel=next href="§S">`},
	{name: "link compression-dictionary", verdict: rewritten, doc: `<link rel=compression-dictionary href="§S">`},
	{name: "link expect", verdict: loadsNothing, doc: `<link rel=expect href="#main" blocking=render>`},
	{name: "link canonical", verdict: loadsNothing, doc: `<link rel=canonical href="§P">`},
	{name: "link alternate", verdict: loadsNothing, doc: `<link rel=alternate type="application/rss+xml" href="§P">`},
	{name: "link author, license, help, search, me, pingback", verdict: loadsNothing,
		doc: `<link rel=author href="§P"><link rel=license href="§P"><link rel=help href="§P"><link rel=search href="§P"><link rel=me href="§P"><link rel=pingback href="§P">`},
	// Styles.
	{name: "style url()", verdict: rewritten, doc: `<style>a{background:url(§P)}</style>`},
	{name: "style @import", verdict: rewritten, doc: `<style>@import "§S" layer(x);</style>`},
	{name: "style image-set()", verdict: rewritten, doc: `<style>a{background:image-set("§P" 1x)}</style>`},
	{name: "style @font-face", verdict: rewritten, doc: `<style>@font-face{font-family:x;src:url(§P) format("woff2")}</style>`},
	{name: "style cursor", verdict: rewritten, doc: `<style>a{cursor:url("§P"),auto}</style>`},
	{name: "style src()", verdict: rewritten, doc: `<style>a{background:src("§P")}</style>`},
	{name: "style custom property", verdict: rewritten, doc: `<style>a{--x:"§P";background:image-set(var(--x) 1x)}</style>`},
	{name: "style attribute", verdict: rewritten, doc: `<p style="background:url(§P)">x</p>`},
	{name: "own external style sheet's imports", verdict: outOfReach, doc: `<link rel=stylesheet href="/imports-vendor.css">`},
	// SVG and MathML.
	{name: "svg image href", verdict: rewritten, doc: `<svg><image href="§P"/></svg>`},
	{name: "svg image xlink:href", verdict: rewritten, doc: `<svg><image xlink:href="§P"/></svg>`},
	{name: "svg use href", verdict: rewritten, doc: `<svg><use href="§P#a"/></svg>`},
	{name: "svg use xlink:href", verdict: rewritten, doc: `<svg><use xlink:href="§P#a"/></svg>`},
	{name: "svg feImage href", verdict: rewritten, doc: `<svg><filter><feImage href="§P"/></filter></svg>`},
	{name: "svg animate values", verdict: rewritten, doc: `<svg><image><animate attributeName=href values="/a.png;§P"/></image></svg>`},
	{name: "svg set to", verdict: rewritten, doc: `<svg><image><set attributeName=href to="§P"/></image></svg>`},
	{name: "svg animate href", verdict: loadsNothing, doc: `<svg><animate href="#a" attributeName=x values="0;1"/></svg>`},
	{name: "svg mpath href", verdict: rewritten, doc: `<svg><animateMotion><mpath href="§P#a"/></animateMotion></svg>`},
	{name: "svg textPath href", verdict: rewritten, doc: `<svg><text><textPath href="§P#a">x</textPath></text></svg>`},
	{name: "svg linearGradient href", verdict: rewritten, doc: `<svg><linearGradient href="§P#a"/></svg>`},
	{name: "svg radialGradient href", verdict: rewritten, doc: `<svg><radialGradient xlink:href="§P#a"/></svg>`},
	{name: "svg pattern href", verdict: rewritten, doc: `<svg><pattern href="§P#a"/></svg>`},
	{name: "svg filter href", verdict: rewritten, doc: `<svg><filter href="§P#a"/></svg>`},
	{name: "svg fill, stroke, mask, clip-path, marker", verdict: rewritten, doc: `<svg><rect fill="url(§P#a)" stroke="url(§P#b)" mask="url(§P#c)" clip-path="url(§P#d)" marker-end="url(§P#e)"/></svg>`},
	{name: "svg style", verdict: rewritten, doc: `<svg><style>a{fill:url(§P)}</style></svg>`},
	{name: "svg a href", verdict: loadsNothing, doc: `<svg><a href="§P"><text>x</text></a></svg>`},
	{name: "mathml href", verdict: loadsNothing, doc: `<math><mi href="§P">x</mi></math>`},
	{name: "mathml mglyph src", verdict: rewritten, doc: `<math><mi><mglyph src="§P"/></mi></math>`},
	// Documents.
	{name: "base href", verdict: rewritten, doc: `<base href="https://§H/"><script src="en_US/fbevents.js"></script>`},
	{name: "meta refresh", verdict: rewritten, doc: `<meta http-equiv=refresh content="0;url=§F">`},
	{name: "meta http-equiv, others", verdict: loadsNothing,
		doc: `<meta http-equiv=link content="<§S>; rel=stylesheet"><meta http-equiv=set-cookie content="a=1"><meta http-equiv=x-dns-prefetch-control content=on><meta http-equiv=origin-trial content=x>`},
	{name: "meta csp report-uri", verdict: loadsNothing, doc: `<meta http-equiv=content-security-policy content="img-src *; report-uri §P">`},
	{name: "meta property, itemprop", verdict: loadsNothing, doc: `<meta property="og:image" content="§P"><link itemprop=url href="§P"><meta itemprop=image content="§P">`},
	{name: "a ping", verdict: rewritten, doc: `<a href="/" ping="§P">x</a>`},
	{name: "area ping", verdict: rewritten, doc: `<map><area href="/" ping="§P"></map>`},
	{name: "a attributionsrc", verdict: outOfReach, doc: `<a href="/" attributionsrc="§P">x</a>`},
	{name: "a href", verdict: loadsNothing, doc: `<a href="§P">x</a>`},
	{name: "form action", verdict: loadsNothing, doc: `<form action="§P"><button formaction="§P">x</button></form>`},
	{name: "blockquote cite", verdict: loadsNothing, doc: `<blockquote cite="§P">x</blockquote><q cite="§P">x</q>`},
	{name: "head profile", verdict: loadsNothing, doc: `<head profile="§P"></head>`},
	{name: "html manifest", verdict: loadsNothing, doc: `<html manifest="§P"></html>`},
	{name: "isindex, keygen", verdict: loadsNothing, doc: `<isindex action="§P"><keygen name=x>`},
	{name: "xml-stylesheet instruction", verdict: loadsNothing, doc: `<?xml-stylesheet href="§S"?><p>x</p>`},
	{name: "noscript", verdict: rewritten, doc: `<noscript><img src="§P"></noscript>`},
	{name: "comment", verdict: loadsNothing, doc: `<!-- <script src="§S"></script> -->`},
	{name: "html in json", verdict: outOfReach, doc: `<div data-html="&lt;img src=§P&gt;"></div>`},
	// AMP.
	{name: "amp-analytics type", verdict: rewritten, doc: `<amp-analytics type=gtag></amp-analytics>`, own: `<amp-analytics id=x></amp-analytics>`},
	{name: "amp-analytics config", verdict: rewritten, doc: `<amp-analytics config="§S"></amp-analytics>`},
	{name: "amp-analytics JSON", verdict: rewritten, doc: `<amp-analytics><script type="application/json">{"requests":{"hit":"§P"}}</script></amp-analytics>`},
	{name: "amp-pixel src", verdict: rewritten, doc: `<amp-pixel src="§P" layout=nodisplay></amp-pixel>`},
	{name: "amp-ad type", verdict: rewritten, doc: `<amp-ad width=1 height=1 type=doubleclick data-slot=/1/x></amp-ad>`, own: `<amp-ad width=1 height=1 type=custom data-url=/ad></amp-ad>`},
	{name: "amp-ad rtc-config", verdict: rewritten, doc: `<amp-ad type=custom rtc-config='{"urls":["§P"]}'></amp-ad>`},
	{name: "amp-embed type", verdict: rewritten, doc: `<amp-embed type=taboola data-publisher=x></amp-embed>`, own: `<amp-embed type=custom></amp-embed>`},
	{name: "amp-auto-ads type", verdict: rewritten, doc: `<amp-auto-ads type=adsense data-ad-client=x></amp-auto-ads>`, own: `<amp-auto-ads></amp-auto-ads>`},
	{name: "amp-story-auto-ads JSON", verdict: rewritten, doc: `<amp-story-auto-ads><script type="application/json">{"ad-attributes":{"type":"doubleclick"}}</script></amp-story-auto-ads>`,
		own: `<amp-story-auto-ads><script type="application/json">{"ad-attributes":{"type":"custom"}}</script></amp-story-auto-ads>`},
	{name: "amp-iframe src", verdict: rewritten, doc: `<amp-iframe src="§F"></amp-iframe>`},
	{name: "amp-iframe srcdoc", verdict: rewritten, doc: `<amp-iframe srcdoc="<img src=§P>"></amp-iframe>`},
	{name: "amp-img src", verdict: rewritten, doc: `<amp-img src="§P" width=1 height=1></amp-img>`},
	{name: "amp-img srcset", verdict: rewritten, doc: `<amp-img src="/a.png" srcset="§P 2x"></amp-img>`},
	{name: "amp-video src", verdict: rewritten, doc: `<amp-video src="§P"></amp-video>`},
	{name: "amp-video poster", verdict: rewritten, doc: `<amp-video src="/a.mp4" poster="§P"></amp-video>`},
	{name: "amp-list src", verdict: rewritten, doc: `<amp-list src="§S"></amp-list>`},
	{name: "amp-youtube", verdict: rewritten, doc: `<amp-youtube data-videoid=x width=1 height=1></amp-youtube>`, own: `<amp-timeago data-x=1 datetime=x></amp-timeago>`},
	{name: "amp-vimeo", verdict: rewritten, doc: `<amp-vimeo data-videoid=1></amp-vimeo>`, own: `<amp-vimeo></amp-vimeo>`},
	{name: "amp-facebook", verdict: rewritten, doc: `<amp-facebook data-href="https://www.facebook.com/x/posts/1"></amp-facebook>`, own: `<amp-facebook layout=fill></amp-facebook>`},
	{name: "amp-twitter", verdict: rewritten, doc: `<amp-twitter data-tweetid=1></amp-twitter>`, own: `<amp-twitter layout=fill></amp-twitter>`},
	{name: "amp-instagram", verdict: rewritten, doc: `<amp-instagram data-shortcode=x></amp-instagram>`, own: `<amp-instagram layout=fill></amp-instagram>`},
	{name: "amp-tiktok", verdict: rewritten, doc: `<amp-tiktok data-src=1></amp-tiktok>`, own: `<amp-tiktok layout=fill></amp-tiktok>`},
	{name: "amp-soundcloud, amp-pinterest, amp-addthis, amp-recaptcha-input", verdict: rewritten,
		doc: `<amp-soundcloud data-trackid=1></amp-soundcloud><amp-pinterest data-do=buttonPin data-url=x></amp-pinterest><amp-addthis data-pub-id=x></amp-addthis><amp-recaptcha-input data-sitekey=x></amp-recaptcha-input>`,
		own: `<amp-soundcloud></amp-soundcloud>`},
	{name: "amp-consent JSON", verdict: rewritten, doc: `<amp-consent id=x><script type="application/json">{"promptUISrc":"§F"}</script></amp-consent>`},
	{name: "amp-geo", verdict: loadsNothing, doc: `<amp-geo layout=nodisplay><script type="application/json">{"ISOCountryGroups":{"eu":["de"]}}</script></amp-geo>`},
	{name: "amp-social-share", verdict: loadsNothing, doc: `<amp-social-share type=facebook data-url="§P"></amp-social-share>`},
	{name: "amp-bind", verdict: outOfReach, doc: `<amp-img src="/a.png" data-amp-bind-src="'§P'"></amp-img>`},
	// Headers.
	{name: "Link", verdict: inHeader, doc: "Link: <§S>; rel=preload"},
	{name: "Refresh", verdict: inHeader, doc: "Refresh: 0;url=§F"},
	{name: "Reporting-Endpoints", verdict: inHeader, doc: `Reporting-Endpoints: a="§P"`},
	{name: "Report-To", verdict: inHeader, doc: `Report-To: {"group":"a","max_age":1,"endpoints":[{"url":"§P"}]}`},
	{name: "Speculation-Rules", verdict: inHeader, doc: `Speculation-Rules: "§S"`},
	{name: "Attribution-Reporting-Register-OS-Source", verdict: inHeader, doc: `Attribution-Reporting-Register-OS-Source: "§P"`},
	{name: "XML, XHTML and SVG documents", verdict: inHeader, doc: "Content-Type: image/svg+xml"},
	{name: "Location", verdict: outOfReach, doc: "Location: §F"},
	{name: "Content-Security-Policy report-uri", verdict: outOfReach, doc: "Content-Security-Policy: report-uri §P"},
}

// signs replaces the signs of a sink's doc.
func signs(doc string, blocked bool) string {
	r := strings.NewReplacer("§S", "https://site.test/a.js", "§P", "https://site.test/a.png", "§F", "https://site.test/f", "§H", "site.test", "§L", "go()")
	if blocked {
		r = strings.NewReplacer("§S", blockedScript, "§P", blockedImage, "§F", "https://www.youtube.com/embed/x", "§H", "connect.facebook.net", "§L", blockedLoader)
	}
	return r.Replace(doc)
}

// blindSinks are sinks that the oracle, one reading of one parser, knows nothing of.
// They are live by what is written next to them.
var blindSinks = map[string]string{
	"script src=data:":                          "the oracle follows no data: address",
	"iframe src=data:":                          "the oracle follows no data: address",
	"iframe src=javascript:":                    "the oracle runs nothing",
	"speculation rules over all links":          "names no address",
	"svg set to=javascript:":                    "the oracle runs no animation",
	"svg animate values=javascript:":            "the oracle runs no animation",
	"mathml href=javascript:":                   "links of MathML exist in Firefox only",
	"script type=webbundle":                     "a feature of few browsers",
	"link prerender":                            "older Chromium",
	"link mask-icon":                            "Safari",
	"link apple-touch-icon":                     "Safari",
	"link manifest":                             "once the visitor may install the site",
	"link next":                                 "Firefox",
	"link compression-dictionary":               "Chromium",
	"link preload imagesrcset":                  "the oracle reads no imagesrcset",
	"style image-set()":                         "the oracle reads url() only",
	"style src()":                               "the oracle reads url() only",
	"style custom property":                     "the oracle reads url() only",
	"svg fill, stroke, mask, clip-path, marker": "Firefox",
	"amp-ad rtc-config":                         "the oracle reads the JSON of elements only",
	"amp-story-auto-ads JSON":                   "the oracle reads addresses only",
	"amp-iframe srcdoc":                         "AMP makes the frame",
	"amp-img srcset":                            "the oracle reads src only",
	"amp-consent JSON":                          "the oracle reads that of amp-analytics",
}

func TestSinks(t *testing.T) {
	for _, s := range sinks {
		t.Run(s.name, func(t *testing.T) {
			in, own := signs(s.doc, true), s.own
			if own == "" {
				own = signs(s.doc, false)
			}
			if !strings.HasPrefix(s.doc, "<") {
				s.header(t, in, own)
				return
			}
			for _, size := range sizes {
				if out, _ := rewrite(t, []byte(own), size, testPage(denied())); string(out) != own {
					t.Fatalf("without a vendor, yet changed\nin:  %s\nout: %s", own, out)
				}
			}
			out, _ := rewrite(t, []byte(in), 0, testPage(denied()))
			was := append(live([]byte(in), denied(), true), live([]byte(in), denied(), false)...)
			if s.verdict != rewritten {
				if string(out) != in {
					t.Errorf("%s, yet changed\nin:  %s\nout: %s", s.verdict, in, out)
				}
				if len(was) > 0 {
					t.Errorf("%s, yet live: %s", s.verdict, was)
				}
				return
			}
			if _, blind := blindSinks[s.name]; blind == (len(was) > 0) {
				t.Errorf("live before: %q, noted as unknown to the oracle: %v", was, blind)
			}
			if string(out) == in {
				t.Errorf("untouched: %s", in)
			}
			if l := append(live(out, denied(), true), live(out, denied(), false)...); len(l) > 0 {
				t.Errorf("live: %s\nout: %s", l, out)
			}
			if got := restore(out); string(got) != in {
				t.Errorf("in:       %s\nout:      %s\nrestored: %s", in, out, got)
			}
			if twice, _ := rewrite(t, out, 0, testPage(denied())); string(twice) != string(out) {
				t.Errorf("not idempotent\nonce:  %s\ntwice: %s", out, twice)
			}
			for _, size := range sizes[1:] {
				if piece, _ := rewrite(t, []byte(in), size, testPage(denied())); string(piece) != string(out) {
					t.Errorf("size %d differs\nwhole: %s\nout:   %s", size, out, piece)
				}
			}
			if all, _ := rewrite(t, []byte(in), 0, testPage(granted())); string(all) != in {
				t.Errorf("granted, yet changed: %s", all)
			}
		})
	}
}

// header checks a sink that is a header field.
func (s *loadingSink) header(t *testing.T, in, own string) {
	t.Helper()
	filter := func(line string) (kept string, h http.Header) {
		name, value, _ := strings.Cut(line, ": ")
		h = http.Header{}
		h.Set(name, value)
		base := Base{Scheme: "https", Host: testHost, Path: "/"}
		count := func(policy.Decision, policy.Kind) {}
		FilterHints(h, denied(), base, count)
		return h.Get(name), h
	}
	_, value, _ := strings.Cut(in, ": ")
	kept, h := filter(in)
	switch {
	case s.name == "XML, XHTML and SVG documents":
		if Classify(h) != XML {
			t.Error("taken for a document that is rewritten, or for none")
		}
	case s.verdict == inHeader && kept != "":
		t.Errorf("kept: %s", kept)
	case s.verdict == outOfReach && kept != value:
		t.Errorf("changed: %s", kept)
	}
	if _, value, _ := strings.Cut(own, ": "); s.verdict == inHeader {
		if kept, _ := filter(own); kept != value {
			t.Errorf("without a vendor, yet changed: %q", kept)
		}
	}
}

// TestCoverageDocument ties docs/coverage.md to the sinks: every row names a sink
// and its verdict, every sink has its row.
func TestCoverageDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/coverage.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| (.+?) \\| (.+?) \\| (.*?) ?\\| `([^`]+)` \\|$")
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		if rows[m[4]] != "" {
			t.Errorf("%q stands twice", m[4])
		}
		rows[m[4]] = m[2]
		if m[2] == string(outOfReach) && strings.TrimSpace(m[3]) == "" {
			t.Errorf("%q is out of reach, and nothing says why", m[4])
		}
	}
	for _, s := range sinks {
		name := strings.ReplaceAll(s.name, " ", "_") // as Go names a subtest
		if got, ok := rows[name]; !ok {
			t.Errorf("no row for %q", name)
		} else if got != string(s.verdict) {
			t.Errorf("%q is %s, the document says %s", s.name, s.verdict, got)
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("the row %q names no test", name)
	}
}
