package caches

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consentgate/consentgate/test/gate"
)

// ourPolicy begins the policy line over what is sent unread.
const ourPolicy = "default-src 'self'"

func guarded(h http.Header) bool {
	return strings.Contains(strings.Join(h["Content-Security-Policy"], "\n"), ourPolicy)
}

// A picture somebody was shown is stored, and somebody else opens it as a
// document, in which it may run scripts: it must come under our policy, whoever
// asked first and whatever they had granted.
func TestSharedPictureAsDocument(t *testing.T) {
	picture := &thing{path: "/logo.svg", kind: "image/svg+xml", etag: `"svg"`, head: []string{"Cache-Control", "public, max-age=600"}}
	for _, m := range []mode{private, shared} {
		for _, first := range states {
			s := build(t, topology{before: nginxURL}, m, serve(t, []*thing{picture}))
			gate.Ask(t, s.client, "GET", s.base+"/logo.svg", "Sec-Fetch-Dest", "image", "Accept", "image/*", "Cookie", first.cookie(false))
			a := gate.Ask(t, s.client, "GET", s.base+"/logo.svg", "Sec-Fetch-Dest", "document", "Sec-Fetch-Mode", "navigate", "Accept", "text/html")
			if !guarded(a.Header) {
				t.Errorf("%s, after %s: %v", m, first.name, a.Header)
			}
		}
	}
}

// A stored document whose copy is revalidated keeps our policy, though the
// site's 304 brings a policy of its own and the cache takes over its fields.
func TestSharedGuardedRevalidated(t *testing.T) {
	doc := &thing{path: "/doc", kind: "application/xhtml+xml", etag: `"doc"`, head: []string{"Cache-Control", "s-maxage=1", "Content-Security-Policy", "frame-ancestors 'none'"}}
	s := build(t, topology{before: varnishExact}, shared, serve(t, []*thing{doc}))
	for i := range 3 {
		if i > 0 {
			time.Sleep(1100 * time.Millisecond) // the copy is stale at the latest now
		}
		a := gate.Ask(t, s.client, "GET", s.base+"/doc", "Accept", "text/html")
		if a.StatusCode != http.StatusOK || !guarded(a.Header) {
			t.Errorf("request %d: %d %v", i+1, a.StatusCode, a.Header)
		}
	}
}

// A copy is shared by visitors of all states, and so are their conditions: a tag
// from the time of "cache private", or of the site itself, revives nothing.
func TestSharedOldTags(t *testing.T) {
	o := serve(t, things())
	var tags []string
	t.Run("private", func(t *testing.T) {
		s := build(t, alone, private, o)
		for _, st := range states {
			a := gate.Ask(t, s.client, "GET", s.base+"/p/strong", "Cookie", st.cookie(false), "Accept", "text/html")
			if live := strings.Contains(a.Body, ` src="https://`); live {
				tags = append(tags, a.Header.Get("ETag"))
			}
		}
	})
	for _, top := range []topology{alone, before[0], before[1]} {
		s := build(t, top, shared, o)
		for _, tag := range append(tags, `"strong"`, `W/"strong"`) {
			for _, st := range states {
				a := gate.Ask(t, s.client, "GET", s.base+"/p/strong", "Cookie", st.cookie(false), "Accept", "text/html", "If-None-Match", tag)
				if a.StatusCode != http.StatusOK || strings.Contains(a.Body, ` src="https://`) {
					t.Errorf("%s, %s, %s: %d", top.name, tag, st.name, a.StatusCode)
				}
			}
		}
	}
}

// A cache in front passes on what it does not know. Somebody who writes a
// vendor's name into X-Forwarded-Host must not get an answer stored for everybody
// in which that vendor counts as the site itself.
func TestSharedForwardedHost(t *testing.T) {
	o := serve(t, append(things(), dependent()...))
	for _, m := range []mode{private, shared} {
		g := gate.Start(t, gate.Config{
			Global: "servers {\n\ttrusted_proxies static 127.0.0.1/8\n}",
			Sites:  map[string]string{"site": m.directive() + "reverse_proxy " + o.addr},
		})
		// Unlike nginxPlain, which sets the field itself.
		front := varnish(hashAll+ignoreVary)(t, g.Addr(gate.Plain, "site"))
		c := g.Client(t, gate.Plain)
		for path, host := range map[string]string{"/p/strong": "connect.facebook.net", "/p/weak": "www.google-analytics.com", "/t/hint.css": "connect.facebook.net"} {
			// What the first one gets is their own making.
			gate.Ask(t, c, "GET", "http://"+front+path, "X-Forwarded-Host", host)
			a := gate.Ask(t, c, "GET", "http://"+front+path)
			if strings.Contains(a.Body, ` src="https://`) || a.Header.Get("Link") != "" {
				t.Errorf("%s, %s: %v %q", m, path, a.Header, a.Body)
			}
		}
	}
}
