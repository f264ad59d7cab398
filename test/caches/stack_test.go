package caches

import (
	"net/http"
	"testing"

	"github.com/consentgate/consentgate/test/gate"
)

// A mode is what Caddy does between a cache and the site.
type mode string

const (
	bare    mode = "bare Caddy"
	private mode = "cache private" // the default
	shared  mode = "cache shared"
)

// directive are the Caddyfile lines of a mode.
func (m mode) directive() string {
	switch m {
	case bare:
		return ""
	case shared:
		return "consent {\n\tcache shared\n}\n"
	}
	return "consent\n"
}

// A topology says which caches stand around Caddy.
type topology struct {
	name   string
	before cache // between visitors and Caddy
	below  cache // between Caddy and the site
	// urlOnly: the cache before does not tell apart what the site tells apart by
	// Vary, which is the operator's choice.
	urlOnly bool
	// oneLine: nginx is among the caches. It refuses a request with two lines of
	// If-None-Match, with or without the gateway.
	oneLine bool
	// noDates: Varnish is among the caches. What has no Last-Modified gets the
	// time it came as one there, so that a made-up date meets a 304 of its own.
	noDates bool
}

var (
	alone  = topology{name: "no cache"}
	before = []topology{
		{name: "nginx > gateway", before: nginxPlain, oneLine: true},
		{name: "varnish > gateway", before: varnishPlain, noDates: true},
		{name: "nginx by URL > gateway", before: nginxURL, urlOnly: true, oneLine: true},
		{name: "varnish by URL > gateway", before: varnishURL, urlOnly: true, noDates: true},
		{name: "nginx, all stored > gateway", before: nginxForced, oneLine: true},
	}
	below = []topology{
		{name: "gateway > nginx", below: nginxPlain, oneLine: true},
		{name: "gateway > varnish", below: varnishPlain, noDates: true},
		{name: "gateway > varnish as installed", below: varnishBuiltin, noDates: true},
	}
	around = topology{name: "nginx > gateway > varnish", before: nginxPlain, below: varnishPlain, oneLine: true, noDates: true}
)

// A stack is a site with Caddy and caches in front.
type stack struct {
	top    topology
	mode   mode
	origin *origin
	client *http.Client
	base   string // URL without a path
}

// build starts Caddy and the caches around it.
func build(t testing.TB, top topology, m mode, o *origin) *stack {
	t.Helper()
	upstream := o.addr
	if top.below != nil {
		upstream = top.below(t, upstream)
	}
	g := gate.Start(t, gate.Config{Sites: map[string]string{"site": m.directive() + "reverse_proxy " + upstream}})
	s := &stack{top: top, mode: m, origin: o, client: g.Client(t, gate.Plain), base: g.URL(gate.Plain, "site", "")}
	if top.before != nil {
		s.base = "http://" + top.before(t, g.Addr(gate.Plain, "site"))
	}
	return s
}

// hit reports whether an answer came out of a cache.
func hit(h http.Header) bool {
	switch h.Get(cacheField) {
	case "HIT", "REVALIDATED", "STALE", "UPDATING":
		return true
	}
	return false
}
