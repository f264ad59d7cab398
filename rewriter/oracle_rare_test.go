package rewriter

import (
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/nlnwa/whatwg-url/url"
	"golang.org/x/net/html"

	"github.com/consentgate/consentgate/policy"
)

// rareSources are attributes that load what they name, by element, besides those
// that oracle.element knows.
var rareSources = map[string][]string{
	"portal": {"src"}, "fencedframe": {"src"}, "model": {"src", "environmentmap"},
	"embed": {"codebase"}, "object": {"codebase"},
	"svg linearGradient": {"href"}, "svg radialGradient": {"href"}, "svg pattern": {"href"}, "svg filter": {"href"},
	"svg textPath": {"href"}, "svg mpath": {"href"}, "math mglyph": {"src"},
	"amp-img": {"src"}, "amp-anim": {"src"}, "amp-pixel": {"src"}, "amp-iframe": {"src"}, "amp-video": {"src", "poster"},
	"amp-audio": {"src"}, "amp-list": {"src"}, "amp-state": {"src"}, "amp-analytics": {"config"}, "amp-script": {"src"},
}

// rareVendors are the addresses that AMP elements load for one of their attributes,
// whose value begins with the word behind the '='.
var rareVendors = map[string]string{
	"amp-analytics type=gtag": "https://www.googletagmanager.com/gtag/js", "amp-analytics type=facebookpixel": "https://www.facebook.com/tr",
	"amp-analytics type=googleanalytics": "https://www.google-analytics.com/collect", "amp-ad type=doubleclick": "https://securepubads.g.doubleclick.net/tag/js/gpt.js",
	"amp-embed type=taboola": "https://cdn.taboola.com/libtrc/", "amp-auto-ads type=adsense": "https://pagead2.googlesyndication.com/pagead/js/adsbygoogle.js",
	"amp-youtube data-videoid=": "https://www.youtube.com/embed/", "amp-vimeo data-videoid=": "https://player.vimeo.com/video/",
	"amp-facebook data-href=": "https://www.facebook.com/plugins/post.php", "amp-twitter data-tweetid=": "https://platform.twitter.com/widgets.js",
	"amp-instagram data-shortcode=": "https://www.instagram.com/p/", "amp-tiktok data-src=": "https://www.tiktok.com/embed/v2/",
	"amp-soundcloud data-trackid=": "https://w.soundcloud.com/player/", "amp-pinterest data-url=": "https://assets.pinterest.com/js/pinit.js",
	"amp-recaptcha-input data-sitekey=": "https://www.google.com/recaptcha/api.js", "amp-addthis data-pub-id=": "https://s7.addthis.com/js/300/addthis_widget.js",
}

// rare finds what loads in few pages.
func (o *oracle) rare(n *html.Node, attr func(string) (string, bool)) {
	name := n.Data
	if n.Namespace != "" {
		name = n.Namespace + " " + name
	}
	for _, key := range rareSources[name] {
		if v, ok := attr(key); ok && strings.TrimSpace(v) != "" {
			o.url(name+" "+key, v, policy.Object)
		}
	}
	for _, a := range n.Attr {
		if len(a.Key) > 2 && strings.HasPrefix(a.Key, "on") && a.Namespace == "" {
			o.inline(name+" "+a.Key, a.Val)
		}
		if strings.HasPrefix(n.Data, "amp-") {
			for _, word := range []string{"", a.Val} {
				if address, ok := rareVendors[n.Data+" "+a.Key+"="+word]; ok {
					o.url(n.Data+" "+a.Key+" "+a.Val, address, policy.Script)
				}
			}
		}
	}
	if v, ok := attr("ping"); ok {
		o.each(name+" ping", v)
	}
	switch name {
	case "a", "area", "svg a":
		o.follow(name, "href", attr)
	case "form":
		o.follow(name, "action", attr)
	case "button", "input":
		o.follow(name, "formaction", attr)
	case "img", "script":
		if v, ok := attr("attributionsrc"); ok {
			o.each(name+" attributionsrc", v)
		}
	case "param":
		key, _ := attr("name")
		if v, ok := attr("value"); ok && slices.Contains([]string{"src", "movie", "code", "url"}, strings.ToLower(key)) {
			o.url("param value", v, policy.Object)
		}
	case "meta":
		eq, _ := attr("http-equiv")
		if v, ok := attr("content"); ok && strings.EqualFold(eq, "refresh") {
			if m := refreshTarget.FindStringSubmatch(v); m != nil {
				o.url("refresh", m[1], policy.Refresh)
			}
		}
	case "svg animate", "svg set":
		for _, key := range []string{"to", "values"} {
			if v, _ := attr(key); v != "" {
				for u := range strings.SplitSeq(v, ";") {
					o.url(name+" "+key, u, policy.Image)
				}
			}
		}
	case "amp-analytics":
		o.config(n)
	}
}

// refreshTarget matches a refresh that is written the usual way.
var refreshTarget = regexp.MustCompile(`(?i)^[0-9]+; ?url=([^"' ;,]+)$`)

func (o *oracle) each(where, v string) {
	for u := range strings.FieldsFuncSeq(v, func(r rune) bool { return strings.ContainsRune(" \t\n\f\r", r) }) {
		o.url(where, u, policy.Hint)
	}
}

// follow looks at the code of a link that is a javascript: URL.
func (o *oracle) follow(where, key string, attr func(string) (string, bool)) {
	v, ok := attr(key)
	if !ok {
		return
	}
	u, err := url.ParseRef(o.base, v)
	if err != nil || u.Scheme() != "javascript" {
		return
	}
	_, code, _ := strings.Cut(u.Href(false), ":")
	o.inline(where+" "+key, percentDecoded(code))
}

// config looks at the JSON in an AMP element, which must be its only child.
func (o *oracle) config(n *html.Node) {
	var only *html.Node
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type != html.ElementNode {
			continue
		}
		if only != nil {
			return
		}
		only = c
	}
	if only == nil || only.Data != "script" {
		return
	}
	for _, a := range only.Attr {
		if a.Key == "type" && strings.EqualFold(a.Val, "application/json") {
			o.json("amp config", scriptText(only), policy.Script)
		}
	}
}

// json looks at all strings of a JSON text that are whole addresses. Keys, which
// are names, do not count.
func (o *oracle) json(where, text string, k policy.Kind) {
	var v any
	if len(text) > DefaultMaxInline || json.Unmarshal([]byte(text), &v) != nil {
		return
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case string:
			if strings.HasPrefix(v, "https://") {
				o.url(where, v, k)
			}
		}
	}
	walk(v)
}

// percentDecoded returns s with its percent escapes decoded, those that are none
// left as they are.
func percentDecoded(s string) string {
	return percentEscape.ReplaceAllStringFunc(s, func(e string) string {
		b, _ := hex.DecodeString(e[1:])
		return string(b)
	})
}

var percentEscape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
