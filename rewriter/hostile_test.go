package rewriter

import (
	"bytes"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/policy"
)

// B and P in the cases stand for a blocked script and a blocked picture.
const (
	blockedScript = "https://connect.facebook.net/en_US/fbevents.js"
	blockedImage  = "https://www.facebook.com/tr?id=1&ev=PageView"
	blockedLoader = `!function(f,b,e,v,n,t,s){if(f.fbq)return;n=f.fbq=function(){n.callMethod?` +
		`n.callMethod.apply(n,arguments):n.queue.push(arguments)};if(!f._fbq)f._fbq=n;n.push=n;n.loaded=!0;` +
		`n.version='2.0';n.queue=[];t=b.createElement(e);t.async=!0;t.src=v;s=b.getElementsByTagName(e)[0];` +
		`s.parentNode.insertBefore(t,s)}(window,document,'script','https://connect.facebook.net/en_US/fbevents.js');` +
		`fbq('init','1');fbq('track','PageView');`
)

func expand(ss []string) []string {
	r := strings.NewReplacer("§S", blockedScript, "§P", blockedImage, "§L", blockedLoader, "§H", "connect.facebook.net")
	for i := range ss {
		ss[i] = r.Replace(ss[i])
	}
	return ss
}

// hostile documents load or run something blocked in at least one parser.
var hostile = expand([]string{
	// Plain forms.
	`<script src="§S"></script>`, `<script src='§S'></script>`, `<script src=§S></script>`,
	`<SCRIPT SRC="§S"></SCRIPT>`, `<script async defer nomodule src="§S" type="text/javascript"></script>`,
	`<script type=module src="§S"></script>`, `<script/src=§S></script>`, `<script src=§S/></script>`,
	"<script\nsrc\n=\n\"§S\"\n></script>", "<script\fsrc='§S'></script>", `<script a="b"src="§S"></script>`,
	`<script =a src="§S"></script>`, `<script src="§S" src="/own.js"></script>`, `<script src="/own.js" src="§S"></script>`,
	`<script src="" src=§S></script>`, `<script type=text/plain type=module src="§S"></script>`,
	`<script type="unknown/x" src="§S"></script>`, `<script type=text/partytown src="§S"></script>`,
	`<script type="0a1b-text/javascript" src="§S"></script>`, `<script language=javascript src="§S"></script>`,
	// Inline.
	`<script>§L</script>`, `<script type="text/javascript">§L</script>`, `<script><!--
§L
//--></script>`, `<script>/* <script> */ §L</script>`, `<script async>` + "\n\n" + `§L</script><p>after</p>`,
	`<script type=text/partytown>§L</script>`,
	// Pictures and media.
	`<img src="§P">`, `<img src=§P alt=x>`, `<image src="§P">`, `<img srcset="/a.png 1x, §P 2x">`, `<img srcset="§P">`,
	`<picture><source srcset="§P"><img src=/a.png></picture>`, `<video poster="§P" src=/v.mp4></video>`,
	`<video src="§P"></video>`, `<audio src="§P"></audio>`, `<video><track src="§P"></video>`, `<input type=image src="§P">`,
	`<body background="§P">`, `<table background="§P"><td background="§P">`, `<img src="data:image/gif;base64,R0lGOD" srcset="§P 2x">`,
	// Frames and objects.
	`<iframe src="https://www.youtube.com/embed/x"></iframe>`, `<frameset><frame src="https://www.youtube.com/embed/x"></frameset>`,
	`<frameset><xmp><frame src="https://www.youtube.com/embed/x"></xmp></frameset>`,
	`<embed src="https://www.youtube.com/v/x">`, `<object data="https://www.youtube.com/v/x"></object>`,
	`<iframe srcdoc="<script src=§S></script>"></iframe>`, `<iframe srcdoc="&lt;script src=&quot;§S&quot;&gt;"></iframe>`,
	`<iframe srcdoc='<iframe srcdoc="&lt;img src=§P&gt;"></iframe>'></iframe>`, `<iframe srcdoc=&lt;img/src=§P&gt;></iframe>`,
	`<iframe srcdoc="&lt;img src=§P&gt"></iframe>`, `<iframe srcdoc="&lt;img&#x20src=§P>"></iframe>`, `<iframe srcdoc="<style>@import '§S'</style>"></iframe>`,
	`<iframe src="data:text/html,<script src=§S></script>"></iframe>`,
	`<iframe src="data:text/html;base64,PHNjcmlwdCBzcmM9Imh0dHBzOi8vY29ubmVjdC5mYWNlYm9vay5uZXQvZW5fVVMvZmJldmVudHMuanMiPjwvc2NyaXB0Pg=="></iframe>`,
	`<iframe src="javascript:'<script src=§S></script>'"></iframe>`, `<script src="data:text/javascript,§L"></script>`,
	// Hints and styles.
	`<link rel=preload as=script href="§S">`, `<link rel=modulepreload href="§S">`, `<link rel="dns-prefetch" href="//§H">`,
	`<link rel=preconnect href="https://§H" crossorigin>`, `<link rel="prefetch" href="§S">`, `<link rel="x PRELOAD" href="§S">`,
	`<link rel="shortcut icon" href="§P">`, `<link rel=stylesheet href="https://fonts.googleapis.com/css?family=A">`,
	`<link rel=preload as=image imagesrcset="§P 1x" href=/a.png>`,
	`<style>@import "§S";</style>`, `<style>@import url(§S);</style>`, `<style>a{background:url( "§P" )}</style>`,
	`<style>a{background:URL(§P)}</style>`, `<style>a{background:image-set("§P" 1x)}</style>`,
	`<style>a{b:url(data:image/png;base64,AA)}c{background:url('§P')}</style>`, `<style>/* x */@import/**/'§S' screen;</style>`,
	`<style>@font-face{src:url(https://fonts.gstatic.com/s/a.woff2) format("woff2")}</style>`,
	`<p style="background:url(§P)">`, `<p style='background:url("§P")'>`, `<p style="background:url(&quot;§P&quot;)">`,
	`<style>a{background:u\72l(§P)}</style>`, `<style>a{background:url(https:\2f\2fwww.facebook.com/tr?ev=1)}</style>`,
	// Refresh, base, events.
	`<meta http-equiv=refresh content="0;url=https://www.facebook.com/tr?ev=1">`, `<META HTTP-EQUIV=Refresh CONTENT='3; URL="https://www.facebook.com/tr"'>`,
	`<base href="https://connect.facebook.net/"><script src="en_US/fbevents.js"></script>`,
	`<base href="https://connect.facebook.net/"><base href="/"><script src="/en_US/fbevents.js"></script>`,
	`<a href=/ ping="https://www.facebook.com/tr?a /own">x</a>`, `<img src=x onerror="§L">`,
	// Spellings of one host.
	`<script src="HTTPS://CONNECT.FACEBOOK.NET/en_US/fbevents.js"></script>`, `<script src="//connect.facebook.net/en_US/fbevents.js"></script>`,
	`<script src="http:connect.facebook.net/en_US/fbevents.js"></script>`, `<script src="http:\\connect.facebook.net\en_US\fbevents.js"></script>`,
	`<script src="\\connect.facebook.net/en_US/fbevents.js"></script>`, `<script src="/\connect.facebook.net/en_US/fbevents.js"></script>`,
	`<script src="https://connect.facebook.net./en_US/fbevents.js"></script>`, `<script src="https://connect.facebook.net:443/en_US/fbevents.js"></script>`,
	`<script src="https://user:pw@connect.facebook.net/en_US/fbevents.js"></script>`, `<script src="https://a\@connect.facebook.net/en_US/fbevents.js"></script>` + `<img src="§P">`,
	`<script src="ht&#10;tps://connect.face&Tab;book.net/en_US/fbevents.js"></script>`, "<script src=\" \thttps://connect.facebook.net/en_US/fbevents.js \"></script>",
	`<script src="https://connect%2Efacebook%2enet/en_US/fbevents.js"></script>`, `<script src="https://connect&#46;facebook&period;net/en_US/fbevents.js"></script>`,
	`<script src="https://ｃonnect.facebook.net/en_US/fbevents.js"></script>`, `<script src="https://connect。facebook。net/en_US/fbevents.js"></script>`,
	`<script src="https:////connect.facebook.net/en_US/fbevents.js"></script>`, `<script src="https:/connect.facebook.net/x"></script>` + `<img src="§P">`,
	`<script src="https://connect.facebook.net/x/../en_US/fbevents.js"></script>`, `<script src="https://connect.facebook.net/%65n_US/fbevents.js"></script>`,
	// Readings.
	`<noscript><img src="§P"></noscript>`, `<noscript><p title="</noscript><script src=§S></script>"></noscript>`,
	`<noscript><!-- </noscript><script src=§S></script> --></noscript>`, `<noscript><textarea></noscript><script src=§S></script>`,
	`<noscript><style></noscript><img src=§P></style>`, `<noscript><iframe src="https://www.googletagmanager.com/ns.html?id=GTM-X"></iframe></noscript>`,
	`<svg><script href="§S"></script></svg>`, `<svg><script xlink:href="§S"/></svg>`, `<svg><script href="§S"/></svg><script src="§S"></script>`,
	`<svg><title><script src="§S"></script></title></svg>`, `<svg><style><img src="§P"></style></svg>`, `<svg><desc><script src="§S"></script></desc></svg>`,
	`<svg><foreignObject><script src="§S"></script></foreignObject></svg>`, `<svg><image href="§P"/><use href="§P"/><feImage xlink:href="§P"/></svg>`,
	`<svg><![CDATA[><!--]]><script href="§S"></script>-->`, `<svg><style><!--</style><script src=§S></script>--></svg>`,
	`<svg><rect fill="url(§P#a)"/><rect mask="url(§P#a)"/><rect clip-path='url("§P#a")'/><g cursor="url(§P)"/></svg>`,
	`<svg><image><animate attributeName=href values="/a.png;§P"/></image></svg>`, `<svg><image><set attributeName=href to="§P"/></image></svg>`,
	`<math><mi><script src="§S"></script></mi></math>`, `<math><annotation-xml encoding="text/html"><script src="§S"></script></annotation-xml></math>`,
	`<math><style><img src="§P"></style></math>`, `<svg><p><script src="§S"></script>`, `<svg><title><!--</title></svg><textarea>--><script src=§S></script>`,
	`<svg><script>x&#40;1);` + `!function(f){if(f.fbq)return;t.createElement(e);t.src='https://connect.facebook.net/en_US/fbevents&#46;js'}(window)` + `</script></svg>`,
	`<select><xmp><script src="§S"></script></xmp></select>`, `<select><title><script src="§S"></script></title></select>`,
	`<template><script src="§S"></script></template>`, `<div><template shadowrootmode=open><img src="§P"></template></div>`,
	`<!--><script src="§S"></script>-->`, `<!---><script src="§S"></script>-->`, `<!-- --!><script src="§S"></script>`, `<!-- a --><script src="§S"></script>`,
	`<![CDATA[><script src="§S"></script>]]>`, `<?xml ><script src="§S"></script>?>`, `</ ><script src="§S"></script>`, `<!x><script src="§S"></script>`,
	`<script></script a=">"><script src="§S"></script>`, `<script><!--<script></script>--></script><script src="§S"></script>`,
	`<script>var a="</scriptx>"</script ><script src="§S"></script>`, `<textarea></textareax></textarea><img src="§P">`,
	`<title></title/><script src="§S"></script>`, `<xmp></xmp><script src="§S"></script>`, `<a title=">"><script src="§S"></script>`,
	`<a title='"'><script src="§S"></script>`, `<a b='c'"><script src="§S"></script>`, `<script src="§S`, `<script src=§S`, `<img src="§P" alt="`,
	"<p\x00><script src=\"§S\"></script>", "<script src=\"§S\"\x00></script>", `<<script src="§S"></script>`,
	`</body></html><script src="§S"></script>`, `<table><script src="§S"></script><td><img src="§P">`,
	`<script type=speculationrules>{"prefetch":[{"source":"list","urls":["https:\/\/www.facebook.com\/tr?ev=1"]}]}</script>`,
})

// inertDocs mention vendors in ways that nobody loads or runs, or load nothing
// that is blocked: they must leave as they came.
var inertDocs = expand([]string{
	``, `plain text about fbevents.js and §S`, `<p>§S</p>`, `<a href="https://www.facebook.com/tr?x">link</a>`,
	`<textarea><script src="§S"></script></textarea>`, `<title><script src="§S"></script></title>`, `<xmp><img src="§P"></xmp>`,
	`<!-- <script src="§S"></script> -->`, `<!-- --! ><script src="§S"></script> -->`, `<!--[if IE]><script src="§S"></script><![endif]-->`,
	`<script>var s = "<script src='§S'><\/script>".length</script>`,
	`<script type="application/ld+json">{"sameAs":"https://www.facebook.com/tr","x":"§S"}</script>`,
	`<script type="application/json">{"html":"<script src=\"§S\">"}</script>`, `<script type=importmap>{"imports":{"§S":"/own.js"}}</script>`,
	`<script type="text/plain" data-category=marketing src="§S"></script>`, `<script type="text/template"><script src="§S"></script>`,
	`<script type=speculationrules>{"prefetch":[{"urls":["/next","/other"]}]}</script>`,
	`<pre>&lt;script src="§S"&gt;&lt;/script&gt;</pre>`, `<p title='<script src="§S"></script>'>x</p>`, `<p data-html="<img src='§P'>">`,
	`<scripty src="§S"></scripty>`, "<\u017fcript src=\"§S\"></\u017fcript>", `< script src="§S">`, `<a<script src="§S"></script>`, `<script src= src=§S></script>`, `<div src="§S"></div>`, `<img alt="§P">`,
	`<link rel=canonical href="https://www.facebook.com/site">`, `<link rel="alternate" href="https://www.facebook.com/tr">`, `<meta property="og:image" content="§P">`,
	`<img src="/own.png" srcset="/a.png 1x, /b.png 2x">`, `<script src="/js/app.js"></script>`, `<iframe src="about:blank"></iframe>`, `<iframe></iframe>`,
	`<img src="data:image/png;base64,AAAA">`, `<img src="">`, `<style>a{background:url(/a.png)}b{content:"§P"}@namespace "https://www.facebook.com/";</style>`,
	`<style>/* @import "§S"; url(§P) */</style>`, `<p style="color:red">`, `<button onclick="go()">x</button>`,
	`<form action="https://www.facebook.com/tr">`, `<object type="image/svg+xml" data="/a.svg"></object>`, `<iframe srcdoc="<p>hi</p>"></iframe>`,
	`<base href="https://cdn.site.test/"><script src="x.js"></script>`, `<svg fill="none" stroke=red><title>Icon</title><path fill="url(#g)" d="M0 0"/><animate values="0;1" to=1 /></svg><script>var t="<img src='§P'>"</script>`,
	`<svg><style type="text/css"><![CDATA[.a{fill:red}]]></style></svg><script>var t="<img src='§P'>"</script>`,
	`<script src="https://cdn.example.net/lib.js"></script>`, `<img src="https://facebook.com.evil.test/tr">`,
	`<iframe src="https://notyoutube.com/embed/x"></iframe>`, `<plaintext><script src="§S"></script>`, "\xef\xbb\xbf<p>\r\n\x00\xff</p>\r",
})

var sizes = []int{0, 1, 2, 3, 7, 64, 4096}

func TestHostile(t *testing.T) {
	for _, in := range hostile {
		if len(live([]byte(in), denied(), true)) == 0 && len(live([]byte(in), denied(), false)) == 0 && !onlyBrowsers[in] {
			t.Errorf("the oracle sees nothing live, so the case proves nothing: %s", in)
		}
		whole, _ := rewrite(t, []byte(in), 0, testPage(denied()))
		for _, size := range sizes[1:] {
			if out, _ := rewrite(t, []byte(in), size, testPage(denied())); !bytes.Equal(out, whole) {
				t.Errorf("size %d differs\nin:    %s\nwhole: %s\nout:   %s", size, in, whole, out)
			}
		}
		for _, scripting := range []bool{true, false} {
			for _, l := range live(whole, denied(), scripting) {
				t.Errorf("scripting %v: live: %s\nin:  %s\nout: %s", scripting, l, in, whole)
			}
		}
		if got := restore(whole); string(got) != in {
			t.Errorf("in:       %s\nout:      %s\nrestored: %s", in, whole, got)
		}
		if bytes.Equal(whole, []byte(in)) {
			t.Errorf("untouched: %s", in)
		}
		if twice, _ := rewrite(t, whole, 0, testPage(denied())); !bytes.Equal(twice, whole) {
			t.Errorf("not idempotent\nonce:  %s\ntwice: %s", whole, twice)
		}
		all, _ := rewrite(t, []byte(in), 3, testPage(granted()))
		if string(all) != in {
			t.Errorf("granted, yet changed: %s\n%s", in, all)
		}
	}
}

// onlyBrowsers are cases that the oracle, one reading of one parser, cannot see
// but preload scanners or older browsers do.
var onlyBrowsers = map[string]bool{}

func init() {
	for _, s := range expand([]string{
		`<script src="/own.js" src="§S"></script>`, `<script src="" src=§S></script>`, `<script type=text/plain type=module src="§S"></script>`,
		`<script type="unknown/x" src="§S"></script>`, `<script type=text/partytown src="§S"></script>`, `<script type="0a1b-text/javascript" src="§S"></script>`,
		`<script type=text/partytown>§L</script>`, `<script src="§S`, `<script src=§S`, `<img src="§P" alt="`,
		`<frameset><xmp><frame src="https://www.youtube.com/embed/x"></xmp></frameset>`,
		`<iframe src="data:text/html,<script src=§S></script>"></iframe>`,
		`<iframe src="data:text/html;base64,PHNjcmlwdCBzcmM9Imh0dHBzOi8vY29ubmVjdC5mYWNlYm9vay5uZXQvZW5fVVMvZmJldmVudHMuanMiPjwvc2NyaXB0Pg=="></iframe>`,
		`<iframe src="javascript:'<script src=§S></script>'"></iframe>`, `<script src="data:text/javascript,§L"></script>`,
		`<svg><style><!--</style><script src=§S></script>--></svg>`,
		`<select><xmp><script src="§S"></script></xmp></select>`, `<select><title><script src="§S"></script></title></select>`,
		`<svg><rect fill="url(§P#a)"/><rect mask="url(§P#a)"/><rect clip-path='url("§P#a")'/><g cursor="url(§P)"/></svg>`,
		`<svg><image><animate attributeName=href values="/a.png;§P"/></image></svg>`, `<svg><image><set attributeName=href to="§P"/></image></svg>`,
		`<link rel="shortcut icon" href="§P">`, `<link rel=preload as=image imagesrcset="§P 1x" href=/a.png>`,
		`<style>a{background:image-set("§P" 1x)}</style>`, `<style>/* x */@import/**/'§S' screen;</style>`,
		`<style>a{background:u\72l(§P)}</style>`, `<style>a{background:url(https:\2f\2fwww.facebook.com/tr?ev=1)}</style>`,
		`<meta http-equiv=refresh content="0;url=https://www.facebook.com/tr?ev=1">`, `<META HTTP-EQUIV=Refresh CONTENT='3; URL="https://www.facebook.com/tr"'>`,
		`<a href=/ ping="https://www.facebook.com/tr?a /own">x</a>`, `<img src=x onerror="§L">`,
		`<script type=speculationrules>{"prefetch":[{"source":"list","urls":["https:\/\/www.facebook.com\/tr?ev=1"]}]}</script>`,
	}) {
		onlyBrowsers[s] = true
	}
}

func TestInert(t *testing.T) {
	for _, in := range inertDocs {
		for _, size := range sizes {
			if out, r := rewrite(t, []byte(in), size, testPage(denied())); string(out) != in {
				t.Errorf("size %d: changed\nin:  %q\nout: %q\n%+v", size, in, out, r.Counts)
				break
			}
		}
	}
}

// TestPairs puts every watched element directly behind every other one: what one
// tag left behind must not hide the next.
func TestPairs(t *testing.T) {
	var tags []string
	for _, tag := range []string{
		`<script src="§S"></script>`, `<script>§L</script>`, `<img src="§P">`, `<link rel=preload href="§S">`, `<iframe src="https://www.youtube.com/embed/x"></iframe>`,
		`<style>@import "§S";</style>`, `<noscript><img src="§P"></noscript>`, `<svg><image href="§P"/></svg>`, `<video poster="§P"></video>`, `<textarea>x</textarea>`,
		`<title>x</title>`, `<!--x-->`, `<math><mi>x</mi></math>`, `<select><option></select>`, `<template><img src="§P"></template>`, `<svg><title>x</title></svg>`,
		`<p style="background:url(§P)">`, `<input type=image src="§P">`, `<object data="https://www.youtube.com/v/x"></object>`, `<embed src="https://www.youtube.com/v/x">`,
	} {
		tags = append(tags, expand([]string{tag})...)
	}
	for _, a := range tags {
		for _, b := range tags {
			in := a + b
			out, _ := rewrite(t, []byte(in), 0, testPage(denied()))
			for _, scripting := range []bool{true, false} {
				if l := live(out, denied(), scripting); len(l) > 0 {
					t.Errorf("live: %v\nin:  %s\nout: %s", l, in, out)
				}
			}
			if got := restore(out); string(got) != in {
				t.Errorf("in: %s\nrestored: %s", in, got)
			}
		}
	}
}

func TestUnrestrictedMeansNothingHeld(t *testing.T) {
	if !granted().Unrestricted() || denied().Unrestricted() {
		t.Fatal("the built-in policy must restrict a visitor who has not chosen, and nobody else")
	}
	if d := denied().Resource(policy.Script, policy.Location{Scheme: []byte("https"), Host: []byte("connect.facebook.net"), Path: []byte("/en_US/fbevents.js")}); d.Action != policy.Block {
		t.Fatal("the cases need a blocked vendor")
	}
}
