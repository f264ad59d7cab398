package caches

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/consentgate/consentgate/test/gate"
)

// A desk is the gateway alone, asked over one protocol.
type desk struct {
	t      *testing.T
	g      *gate.Gate
	proto  gate.Proto
	client *http.Client
	origin *origin
}

// rows runs a test of a row of the table of validators and caches over HTTP/1.1
// and HTTP/2, with and without TLS.
func rows(t *testing.T, m mode, list []*thing, f func(d *desk)) {
	t.Helper()
	o := serve(t, list)
	g := gate.Start(t, gate.Config{Sites: map[string]string{
		"gated": m.directive() + "reverse_proxy " + o.addr,
		"bare":  "reverse_proxy " + o.addr,
	}})
	for _, p := range []gate.Proto{gate.Plain, gate.H2} {
		t.Run(strings.ReplaceAll(string(p), "/", ""), func(t *testing.T) {
			f(&desk{t: t, g: g, proto: p, client: g.Client(t, p), origin: o})
		})
	}
}

// ask asks for a page as a browser does that a visitor of the state sits at.
func (d *desk) ask(st state, path string, fields ...string) gate.Answer {
	d.t.Helper()
	fields = append([]string{"Accept", "text/html"}, fields...)
	if pair := st.cookie(d.proto != gate.Plain); pair != "" {
		fields = append(fields, "Cookie", pair)
	}
	if st.gpc {
		fields = append(fields, "Sec-GPC", "1")
	}
	return gate.Ask(d.t, d.client, "GET", d.g.URL(d.proto, "gated", path), fields...)
}

// same reports whether two visitors get the same pages.
func same(a, b state) bool {
	return !slices.ContainsFunc([]string{"functional", "analytics", "marketing"}, func(c string) bool { return a.has(c) != b.has(c) })
}

func named(name string) state {
	return states[slices.IndexFunc(states, func(s state) bool { return s.name == name })]
}

// B1: a page is revalidated by visitors of the same state and by no others,
// whatever validator the site gives it.
func TestRowsB1Variant(t *testing.T) {
	rows(t, private, things(), func(d *desk) {
		for _, path := range []string{"/p/strong", "/p/weak", "/p/dated", "/p/both", "/p/gzip"} {
			for _, holding := range states {
				first := d.ask(holding, path)
				tag := first.Header.Get("ETag")
				if tag == "" {
					d.t.Errorf("%s, %s: no tag: %v", path, holding.name, first.Header)
				}
				for _, asking := range states {
					want := http.StatusOK
					if same(asking, holding) {
						want = http.StatusNotModified
					}
					a := d.ask(asking, path, "If-None-Match", tag)
					if a.StatusCode != want {
						d.t.Errorf("%s: %s with what %s got: %d", path, asking.name, holding.name, a.StatusCode)
					}
					if want == http.StatusNotModified && opaque(a.Header.Get("ETag")) != opaque(tag) {
						d.t.Errorf("%s: 304 with %q, asked about %q", path, a.Header.Get("ETag"), tag)
					}
				}
			}
		}
	})
}

// B2: lists, weak tags, "*" and several lines, and what the site sees of them.
func TestRowsB2Lists(t *testing.T) {
	rows(t, private, things(), func(d *desk) {
		mine, other := d.ask(named("undecided"), "/p/strong").Header.Get("ETag"), d.ask(named("all"), "/p/strong").Header.Get("ETag")
		for _, c := range []struct {
			sent, seen []string
			status     int
		}{
			{[]string{mine}, []string{`"strong"`}, 304},
			{[]string{"W/" + mine}, []string{`W/"strong"`}, 304},
			{[]string{`"a", ` + mine + `, W/"b,c"`}, []string{`"strong"`}, 304},
			{[]string{mine + "," + other}, []string{`"strong"`}, 304},
			{[]string{`"a"`, mine}, []string{`"strong"`}, 304},
			{[]string{other, "W/" + mine, `"b"`}, []string{`W/"strong"`}, 304},
			{[]string{"*"}, []string{"*"}, 304},
			{[]string{other}, nil, 200},
			{[]string{"W/" + other + ", " + other}, nil, 200},
			{[]string{`"strong"`}, nil, 200},
			{[]string{`W/"strong"`, `"a"`}, nil, 200},
			{[]string{"strong"}, nil, 200},
			{[]string{strings.Replace(mine, "~cg", "~cx", 1)}, nil, 200},
		} {
			var fields []string
			for _, line := range c.sent {
				fields = append(fields, "If-None-Match", line)
			}
			a := d.ask(named("undecided"), "/p/strong", fields...)
			if seen := d.origin.latest().Header["If-None-Match"]; a.StatusCode != c.status || !reflect.DeepEqual(seen, c.seen) {
				d.t.Errorf("%q: %d, the site saw %q, want %d, %q", c.sent, a.StatusCode, seen, c.status, c.seen)
			}
			if c.status == 304 && a.Header.Get("ETag") != mine {
				d.t.Errorf("%q: 304 with %q, want %q", c.sent, a.Header.Get("ETag"), mine)
			}
		}
		// For a file nothing of this is ours.
		for _, sent := range []string{`"js"`, `W/"js", "x"`, `"x"`, "*", `"x~cgy"x`} {
			d.ask(named("undecided"), "/s/app.js", "If-None-Match", sent, "Accept", "*/*", "Sec-Fetch-Dest", "script")
		}
	})
}

// B3: a date never stands for a page of a state.
func TestRowsB3Date(t *testing.T) {
	rows(t, private, things(), func(d *desk) {
		now := time.Now().UTC().Format(http.TimeFormat)
		for _, path := range []string{"/p/dated", "/p/both", "/p/silent"} {
			for _, st := range states {
				a := d.ask(st, path, "If-Modified-Since", now)
				if a.StatusCode != http.StatusOK || a.Header.Get("Last-Modified") != "" || d.origin.latest().Header.Get("If-Modified-Since") != "" {
					d.t.Errorf("%s, %s: %d %v", path, st.name, a.StatusCode, a.Header)
				}
			}
		}
		a := gate.Ask(d.t, d.client, "GET", d.g.URL(d.proto, "gated", "/s/logo.png"), "Accept", "image/*", "Sec-Fetch-Dest", "image", "If-Modified-Since", now)
		if a.StatusCode != http.StatusNotModified || d.origin.latest().Header.Get("If-Modified-Since") != now {
			d.t.Errorf("a picture: %d", a.StatusCode)
		}
	})
}

// B4: what a 304 changes in the browser's cache is right for the state that asks.
func TestRowsB4Fields(t *testing.T) {
	page := &thing{path: "/x", kind: pageType, etag: `"x"`, head: []string{
		"Cache-Control", "public, max-age=60, s-maxage=600", "CDN-Cache-Control", "max-age=9",
		"Set-Cookie", tracker + "; Path=/", "Set-Cookie", "session=1; Path=/",
		"Link", "<" + vendorScripts["marketing"] + ">; rel=preload; as=script", "Content-Security-Policy", "frame-ancestors 'none'",
	}}
	rows(t, private, []*thing{page}, func(d *desk) {
		for _, st := range states {
			first := d.ask(st, "/x")
			a := d.ask(st, "/x", "If-None-Match", first.Header.Get("ETag"))
			if a.StatusCode != http.StatusNotModified {
				d.t.Fatalf("%s: %d", st.name, a.StatusCode)
			}
			for field, lines := range a.Header {
				if field != "Date" && field != "Via" && field != "Server" && field != "Alt-Svc" && !slices.Equal(lines, first.Header[field]) {
					d.t.Errorf("%s: %s is %q in the 304, was %q", st.name, field, lines, first.Header[field])
				}
			}
			cookies, links := strings.Join(a.Header["Set-Cookie"], "\n"), strings.Join(a.Header["Link"], "\n")
			if strings.Contains(cookies, "_ga=") != st.has("analytics") || !strings.Contains(cookies, "session=") || (links != "") != st.has("marketing") {
				d.t.Errorf("%s: %v", st.name, a.Header)
			}
		}
	})
}

// B4: a document under our own policy stays under it when it is revalidated: the
// site's policy line in the 304 must not take its place in the browser's cache.
func TestRowsB4Shield(t *testing.T) {
	doc := &thing{path: "/doc.xml", kind: "application/xhtml+xml", etag: `"x"`, head: []string{
		"Cache-Control", "no-cache", "Content-Security-Policy", "frame-ancestors 'none'",
	}}
	rows(t, private, []*thing{doc}, func(d *desk) {
		first := d.ask(named("undecided"), "/doc.xml")
		if !guarded(first.Header) {
			d.t.Fatalf("not under our policy: %v", first.Header)
		}
		a := d.ask(named("undecided"), "/doc.xml", "If-None-Match", first.Header.Get("ETag"))
		lines, has := a.Header["Content-Security-Policy"]
		if a.StatusCode != http.StatusNotModified || has && !guarded(a.Header) {
			d.t.Errorf("%d: a browser would now have %q", a.StatusCode, lines)
		}
	})
}

// B5: no permission to store a page reaches a shared cache; a file keeps all.
func TestRowsB5Private(t *testing.T) {
	fields := []string{"Surrogate-Control", "max-age=9", "CDN-Cache-Control", "max-age=9", "Cloudflare-CDN-Cache-Control", "max-age=9", "X-Accel-Expires", "9", "Edge-Control", "max-age=9"}
	var list []*thing
	cases := []struct{ site, want string }{
		{"", "private"}, {"public, s-maxage=600", "private"}, {"public, max-age=60", "private, max-age=60"},
		{"no-store", "no-store"}, {"private, max-age=5", "private, max-age=5"}, {"no-cache", "private, no-cache"},
		{"max-age=1, proxy-revalidate", "private, max-age=1"},
	}
	for i, c := range cases {
		head := fields
		if c.site != "" {
			head = append([]string{"Cache-Control", c.site}, fields...)
		}
		list = append(list, &thing{path: fmt.Sprintf("/p%d", i), kind: pageType, head: head}, &thing{path: fmt.Sprintf("/f%d", i), kind: "application/json", head: head})
	}
	rows(t, private, list, func(d *desk) {
		for i, c := range cases {
			for _, st := range states {
				a := d.ask(st, fmt.Sprintf("/p%d", i))
				if got := strings.Join(a.Header["Cache-Control"], "; "); got != c.want {
					d.t.Errorf("%q, %s: %q, want %q", c.site, st.name, got, c.want)
				}
				if vary := a.Header["Vary"]; len(vary) != 1 || strings.Count(vary[0], "Cookie") != 1 {
					d.t.Errorf("%q, %s: Vary %q", c.site, st.name, vary)
				}
				file := d.ask(st, fmt.Sprintf("/f%d", i))
				for j := 0; j < len(fields); j += 2 {
					if a.Header.Get(fields[j]) != "" || file.Header.Get(fields[j]) != fields[j+1] {
						d.t.Errorf("%s: page %q, file %q", fields[j], a.Header.Get(fields[j]), file.Header.Get(fields[j]))
					}
				}
				if file.Header.Get("Cache-Control") != c.site || file.Header.Get("Vary") != "" {
					d.t.Errorf("a file: %v", file.Header)
				}
			}
		}
	})
}

// B6: nothing of the gateway's own is stored, whatever it answers.
func TestRowsB6Own(t *testing.T) { ownNotStored(t, private) }

func ownNotStored(t *testing.T, m mode) {
	rows(t, m, things(), func(d *desk) {
		origin := strings.TrimSuffix(d.g.URL(d.proto, "gated", ""), "/")
		for _, c := range []struct {
			method, path string
			fields       []string
			status       int
		}{
			{"GET", "/_cg/preferences", nil, 200},
			{"HEAD", "/_cg/preferences", nil, 200},
			{"GET", "/_cg/nothing", nil, 404},
			{"GET", "/_cg/choice", nil, 405},
			{"POST", "/_cg/choice?action=grant-all", []string{"Origin", "https://elsewhere.test"}, 403},
			{"POST", "/_cg/choice", []string{"Origin", origin, "Content-Type", "application/x-www-form-urlencoded"}, 400},
		} {
			a := gate.Ask(d.t, d.client, c.method, origin+c.path, c.fields...)
			if a.StatusCode != c.status || a.Header.Get("Cache-Control") != "no-store" {
				d.t.Errorf("%s %s: %d %v", c.method, c.path, a.StatusCode, a.Header)
			}
		}
		resp, err := d.client.Post(origin+"/_cg/choice", "application/x-www-form-urlencoded", strings.NewReader("action=grant-all&return_to=/p/strong"))
		if err != nil {
			d.t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Set-Cookie") == "" || resp.Header.Get("Cache-Control") != "no-store" {
			d.t.Errorf("a choice: %d %v", resp.StatusCode, resp.Header)
		}
	})
}

// B7: a cache below is not shown the choice, so that it cannot keep visitors
// apart by it; nor what was not granted.
func TestRowsB7Below(t *testing.T) {
	rows(t, private, things(), func(d *desk) {
		for _, st := range states {
			d.ask(st, "/p/none", "Cookie", "session=1; _ga=2")
			want := []string{"session=1"}
			if st.has("analytics") {
				want = []string{"session=1; _ga=2"}
			}
			if got := d.origin.latest().Header["Cookie"]; !reflect.DeepEqual(got, want) {
				d.t.Errorf("%s: the site saw %q", st.name, got)
			}
		}
	})
}

// B8: a page that needs no change is a page of a state all the same; a file has
// the headers it has without the gateway.
func TestRowsB8Files(t *testing.T) {
	plain := &thing{path: "/plain", kind: "text/html", etag: `"plain"`, head: []string{"Cache-Control", "public, max-age=60"}}
	list := append(things()[16:], plain)
	rows(t, private, list, func(d *desk) {
		a, b := d.ask(named("undecided"), "/plain"), d.ask(named("all"), "/plain")
		if a.Header.Get("ETag") == b.Header.Get("ETag") || a.Header.Get("Cache-Control") != "private, max-age=60" {
			d.t.Errorf("%v\n%v", a.Header, b.Header)
		}
		for _, file := range list[:len(list)-1] {
			for _, fields := range [][]string{nil, {"If-None-Match", file.etag}, {"If-None-Match", `"x", ` + file.etag}, {"Range", "bytes=0-3"}, {"If-Modified-Since", dated.Format(http.TimeFormat)}, {"Accept-Encoding", "gzip, br"}} {
				if len(fields) > 0 && fields[1] == "" {
					continue
				}
				fields = append([]string{"Sec-Fetch-Dest", "script"}, fields...)
				with := gate.Ask(d.t, d.client, "GET", d.g.URL(d.proto, "gated", file.path), fields...)
				without := gate.Ask(d.t, d.client, "GET", d.g.URL(d.proto, "bare", file.path), fields...)
				for _, h := range []http.Header{with.Header, without.Header} {
					for _, field := range []string{"Date", "Alt-Svc"} { // the second names the port
						h.Del(field)
					}
				}
				if with.StatusCode != without.StatusCode || !reflect.DeepEqual(with.Header, without.Header) || with.Body != without.Body {
					d.t.Errorf("%s %q:\nwith    %d %v\nwithout %d %v", file.path, fields, with.StatusCode, with.Header, without.StatusCode, without.Header)
				}
			}
		}
	})
}

// B9: what caches below say of themselves passes.
func TestRowsB9Passes(t *testing.T) {
	head := []string{"Age", "12", "Date", "Mon, 06 May 2024 10:00:00 GMT", "Warning", `110 x "stale"`, "Cache-Status", "below; hit"}
	page, file := &thing{path: "/p", kind: pageType, head: head}, &thing{path: "/f", kind: "text/css", head: head}
	rows(t, private, []*thing{page, file}, func(d *desk) {
		for _, path := range []string{"/p", "/f"} {
			for _, st := range states {
				a := d.ask(st, path)
				for i := 0; i < len(head); i += 2 {
					if a.Header.Get(head[i]) != head[i+1] {
						d.t.Errorf("%s, %s: %s %q", path, st.name, head[i], a.Header.Get(head[i]))
					}
				}
			}
		}
	})
}

// B10: after every change of mind a reload gets the page anew, with nothing
// live that is no longer granted; back at the first choice the first copy counts.
func TestRowsB10Reload(t *testing.T) {
	rows(t, private, things(), func(d *desk) {
		for _, path := range []string{"/p/strong", "/p/weak", "/p/dated"} {
			granted := d.ask(named("all"), path)
			a := d.ask(named("refused"), path, "If-None-Match", granted.Header.Get("ETag"), "Cache-Control", "max-age=0")
			if a.StatusCode != http.StatusOK || strings.Contains(a.Body, ` src="https://`) {
				d.t.Errorf("%s: withdrawn: %d %q", path, a.StatusCode, a.Body)
			}
			both := granted.Header.Get("ETag") + ", " + a.Header.Get("ETag")
			if again := d.ask(named("all"), path, "If-None-Match", both); again.StatusCode != http.StatusNotModified || again.Header.Get("ETag") != granted.Header.Get("ETag") {
				d.t.Errorf("%s: granted once more: %d %v", path, again.StatusCode, again.Header)
			}
		}
	})
}

// B11: the gateway adds no nonce of its own that a stored page could repeat, and
// a page with a nonce stays as hard to store as the site made it.
func TestRowsB11Nonce(t *testing.T) {
	page := &thing{path: "/n", kind: pageType, etag: `"n"`, head: []string{
		"Cache-Control", "no-store", "Content-Security-Policy", "script-src 'nonce-r4nd0m' https:",
	}}
	rows(t, private, []*thing{page}, func(d *desk) {
		for _, st := range states {
			a, b := d.ask(st, "/n"), d.ask(st, "/n")
			if a.Body != b.Body || strings.Contains(a.Body, "nonce") {
				d.t.Errorf("%s: %q\n%q", st.name, a.Body, b.Body)
			}
			if a.Header.Get("Cache-Control") != "no-store" || !slices.Equal(a.Header["Content-Security-Policy"], []string{page.head[3]}) {
				d.t.Errorf("%s: %v", st.name, a.Header)
			}
		}
	})
}

// B12: nothing vouches for bytes that changed.
func TestRowsB12Digests(t *testing.T) {
	head := []string{"Content-MD5", "x", "Digest", "sha-256=x", "Repr-Digest", "sha-256=:eA==:", "Content-Digest", "sha-256=:eA==:",
		"Signature", "a=:eA==:", "Signature-Input", `a=("x")`}
	page, file := &thing{path: "/p", kind: pageType, head: head}, &thing{path: "/f", kind: "text/css", head: head}
	rows(t, private, []*thing{page, file}, func(d *desk) {
		for _, st := range states {
			a, f := d.ask(st, "/p"), d.ask(st, "/f")
			for i := 0; i < len(head); i += 2 {
				if got := a.Header.Get(head[i]) != ""; got != st.all() || f.Header.Get(head[i]) != head[i+1] {
					d.t.Errorf("%s: %s: page %v, file %v", st.name, head[i], got, f.Header.Get(head[i]))
				}
			}
		}
	})
}

// all reports whether nothing is held.
func (s state) all() bool { return s.has("functional") && s.has("analytics") && s.has("marketing") }
