package rewriter

import (
	"html"
	"slices"
	"strings"
	"testing"

	"github.com/nlnwa/whatwg-url/url"
)

// spellings are one address as an attribute value may write it. Characters are
// spelled with Go's escapes where an editor would hide them.
var spellings = []string{
	"https://connect.facebook.net/en_US/fbevents.js",
	"HTTPS://CONNECT.FACEBOOK.NET/en_US/fbevents.js",
	"hTtP://connect.Facebook.net/en_US/fbevents.js",
	"//connect.facebook.net/en_US/fbevents.js",
	"///connect.facebook.net/en_US/fbevents.js",
	"////connect.facebook.net/en_US/fbevents.js",
	"https:connect.facebook.net/en_US/fbevents.js",
	"http:connect.facebook.net/en_US/fbevents.js",
	"http:/connect.facebook.net/en_US/fbevents.js",
	"https:///connect.facebook.net/en_US/fbevents.js",
	`\\connect.facebook.net\en_US\fbevents.js`,
	`/\connect.facebook.net/en_US/fbevents.js`,
	`\/connect.facebook.net/en_US/fbevents.js`,
	`https:\\connect.facebook.net\en_US\fbevents.js`,
	`https:/\connect.facebook.net/en_US/fbevents.js`,
	"https://connect.facebook.net./en_US/fbevents.js",
	"https://connect.facebook.net:443/en_US/fbevents.js",
	"https://connect.facebook.net:/en_US/fbevents.js",
	"https://connect.facebook.net:08443/en_US/fbevents.js",
	"https://user@connect.facebook.net/en_US/fbevents.js",
	"https://user:password@connect.facebook.net/en_US/fbevents.js",
	"https://site.test@connect.facebook.net/en_US/fbevents.js",
	"https://site.test%2F@connect.facebook.net/en_US/fbevents.js",
	"https://a@b@connect.facebook.net/en_US/fbevents.js",
	"https://@connect.facebook.net/en_US/fbevents.js",
	"https://connect%2Efacebook%2enet/en_US/fbevents.js",
	"https://%63onnect.facebook.net/en_US/fbevents.js",
	"https://connect.faceboo%6B.net/en_US/fbevents.js",
	"https://\uff43onnect.facebook.net/en_US/fbevents.js",              // full width
	"https://connect\u3002facebook\u3002net/en_US/fbevents.js",         // ideographic full stop
	"https://connect\uff0efacebook\uff61net/en_US/fbevents.js",         // full width, half width
	"https://connect.face\u00adbook.net/en_US/fbevents.js",             // soft hyphen
	"https://connect.face\u200bbook.net/en_US/fbevents.js",             // zero width space
	"https://connect.face\ufe0fbook.net/en_US/fbevents.js",             // variation selector
	"https://connect.faceboo\u212a.net/en_US/fbevents.js",              // Kelvin sign
	"https://connect.\U0001d41facebook.net/en_US/fbevents.js",          // mathematical bold
	"https://connect.\u24d5acebook.net/en_US/fbevents.js",              // circled
	"https://connect.face%EF%BD%82ook.net/en_US/fbevents.js",           // full width, percent-encoded
	"https://connect%E3%80%82facebook.net/en_US/fbevents.js",           // full stop, percent-encoded
	"ht\ttps://connect.face\nbook.net/en_US/fbevents.js",               // dropped inside
	"https:/\t/connect.facebook.net/en_US/fbevents.js",                 // between slashes
	"\x01\x1f https://connect.facebook.net/en_US/fbevents.js \x00\x02", // C0 around
	"\f//connect.facebook.net/en_US/fbevents.js",
	"&#104;ttps://connect.facebook.net/en_US/fbevents.js",
	"https&colon;&sol;&sol;connect&period;facebook&period;net/en_US/fbevents.js",
	"https&#x3A;//connect&#x2e;facebook&#046net/en_US/fbevents.js",
	"ht&Tab;tps://connect.face&NewLine;book.net/en_US/fbevents.js",
	"&bsol;&bsol;connect.facebook.net/en_US/fbevents.js",
	"https://connect.face&shy;book.net/en_US/fbevents.js",
	"&#0000000000104;ttps://connect.facebook.net/en_US/fbevents.js",
	"https://connect.facebook.net/x/../en_US/fbevents.js",
	"https://connect.facebook.net/x/%2e%2E/en_US/./fbevents.js",
	"https://connect.facebook.net/x/..\\en_US/fbevents.js",
	"//connect.facebook.net/en_US/fbevents.js?x=1#y",
}

// lookalikes are other hosts, or no hosts.
var lookalikes = []string{
	"https://connect.facebook.net.example/en_US/fbevents.js",
	"https://connect-facebook.net/en_US/fbevents.js",
	"https://xconnect.facebook.net.test/en_US/fbevents.js",
	"https://connect.facebook.network/en_US/fbevents.js",
	"https://site.test/connect.facebook.net/en_US/x.js",
	`https://site.test\@connect.facebook.net/en_US/x.js`,
	"https://site.test/?https://connect.facebook.net/en_US/fbevents.js",
	"https://site.test#@connect.facebook.net/en_US/fbevents.js",
	"https://connect.f\u0430cebook.net/en_US/fbevents.js", // Cyrillic
	"https://connect.facebo\u00f6k.net/en_US/fbevents.js",
	"https://connect.facebook.net@site.test/en_US/x.js",
	"/https://connect.facebook.net/en_US/x.js",
	"./connect.facebook.net/en_US/x.js",
	"x:connect.facebook.net/en_US/fbevents.js",
}

// TestSpellings: one host, however it is written, is one vendor, wherever it
// stands. What the URL standard's parser makes of the value decides what is
// expected, under three bases: whether "http:host" is an address or a path depends
// on them.
func TestSpellings(t *testing.T) {
	const page = "https://" + testHost + "/dir/page.html"
	vendors := map[string]int{}
	for _, base := range []string{"", "https://cdn.site.test/base/", "http://cdn.site.test/base/"} {
		head, resolved := "", page
		if base != "" {
			head, resolved = `<base href="`+base+`">`, base
		}
		for _, v := range slices.Concat(spellings, lookalikes) {
			vendor := false
			if u, err := url.ParseRef(resolved, html.UnescapeString(v)); err == nil {
				vendor = strings.TrimSuffix(u.Hostname(), ".") == "connect.facebook.net"
			}
			in := head + `<script src="` + v + `"></script><img srcset="` + srcsetSafe(v) + `"><link rel=preload href='` + v + `'><iframe src="` + v + `"></iframe>`
			for _, size := range []int{0, 1} {
				out, _ := rewrite(t, []byte(in), size, testPage(denied()))
				n := strings.Count(string(out), "data-cg-vendor=meta-pixel")
				switch {
				case vendor && n != 4:
					t.Errorf("base %q: %q: %d of 4 held\n%s", base, v, n, out)
				case !vendor && string(out) != in:
					t.Errorf("base %q: %q is somebody else's, yet held: %s", base, v, out)
				}
			}
			if vendor {
				vendors[v]++
			}
		}
	}
	for _, v := range spellings {
		if vendors[v] == 0 {
			t.Errorf("%q: the vendor's under no base, so the case proves nothing", v)
		}
	}
	for _, v := range lookalikes {
		if vendors[v] > 0 {
			t.Errorf("%q is the vendor's", v)
		}
	}
	if len(spellings) < 40 || len(lookalikes) < 10 {
		t.Errorf("%d spellings, %d others", len(spellings), len(lookalikes))
	}
}

// TestSpellingsRunningBase: a base counts from where it stands, so the first of two
// equal values is a path of the site's and the second is the vendor's.
func TestSpellingsRunningBase(t *testing.T) {
	const v = `<script src="https:connect.facebook.net/en_US/fbevents.js"></script>`
	in := v + `<base href="http://cdn.site.test/">` + v
	want := v + `<base href="http://cdn.site.test/"><script type=text/plain data-cg-vendor=meta-pixel`
	page := testPage(denied())
	page.Stubs = false
	if out, _ := rewrite(t, []byte(in), 0, page); !strings.HasPrefix(string(out), want) {
		t.Errorf("%s", out)
	}
}

// srcsetSafe takes out what would end a candidate of srcset before its address does.
func srcsetSafe(v string) string {
	return strings.NewReplacer("\t", "", "\n", "", "\f", "", " ", "", "&Tab;", "", "&NewLine;", "").Replace(v)
}
