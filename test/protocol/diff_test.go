package protocol

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/test/gate"
)

// A state is what the visitor said, as fields of the request.
type state struct {
	name   string
	held   bool
	fields func(p gate.Proto) []string
}

var states = []state{
	{"undecided", true, func(gate.Proto) []string { return nil }},
	{"granted", false, func(p gate.Proto) []string { return []string{"Cookie", gate.Granted(p)} }},
	{"GPC", true, func(gate.Proto) []string { return []string{"Sec-GPC", "1"} }},
}

// A tally counts what differed.
type tally struct {
	cases, responses, requests int
	fields                     map[string]int
}

// The same site behind two Caddys that differ by the directive alone: whatever
// header differs, towards the visitor or towards the site, is one that
// docs/headers.md lists for the case.
func TestHeaderDiff(t *testing.T) {
	if len(samples) < 40 {
		t.Fatalf("only %d answers", len(samples))
	}
	around := []stack{stacks[0], stacks[3]}
	w := newWorld(t, around, "")
	request, response := listedFields(t, "Request, towards the site"), listedFields(t, "Response")
	n := tally{fields: map[string]int{}}
	each(t, w, around, func(e env) {
		if e.s.encode && e.p != gate.H2 {
			return // once is enough: what encode does is the same over all of them
		}
		for _, s := range samples {
			for _, st := range states {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					c := comparison{e, s, st, method, &n, fmt.Sprintf("%s, %s, %s", s.name, st.name, method)}
					c.run(request, response)
				}
			}
		}
	})
	t.Logf("%d cases (%d answers, %d states): responses differ in %d, requests in %d", n.cases, len(samples), len(states), n.responses, n.requests)
	for _, name := range slices.Sorted(maps.Keys(n.fields)) {
		t.Logf("%5d  %s", n.fields[name], name)
	}
	noPanic(t, w)
}

// A comparison is one answer to one visitor, with the gateway and without.
type comparison struct {
	env
	sample sample
	state  state
	method string
	n      *tally
	name   string
}

func (c comparison) run(request, response []listed) {
	seen := make(chan http.Header, 1)
	path := c.w.site.on(c.sample.suffix, func(conn net.Conn, r *http.Request) {
		h := r.Header.Clone()
		h["(method and path)"] = []string{r.Method, r.RequestURI}
		seen <- h
		saying(c.sample.parts...)(conn, r)
	})
	defer c.w.site.paths.Delete(path)
	fields := slices.Concat([]string{"Cookie", "session=1; _ga=2"}, c.sample.fields, c.state.fields(c.p))
	got, gotRequest := c.ask(c.method, c.s.name, path, fields...), <-seen
	without, withoutRequest := c.ask(c.method, twin(c.s.name), path, fields...), <-seen

	c.n.cases++
	withoutPorts(gotRequest, c.host())
	withoutPorts(withoutRequest, c.w.Addr(c.p, twin(c.s.name)))
	mayBePage := c.sample.fields == nil || !slices.Contains(c.sample.fields, "Sec-Fetch-Dest")
	c.differs("request", &c.n.requests, gotRequest, withoutRequest, func(name string) bool {
		return slices.ContainsFunc(request, func(r listed) bool { return r.names(name) && r.inRequest(mayBePage, c.state.held) })
	})
	if got.StatusCode == http.StatusBadGateway && got.StatusCode != without.StatusCode && c.sample.unreadable && c.state.held {
		if c.method == http.MethodGet {
			c.isUnreadable(c.name, got)
		}
		return
	}
	if got.StatusCode != without.StatusCode || fmt.Sprint(statuses(got)) != fmt.Sprint(statuses(without)) {
		c.Errorf("%s: %v %s, without the gateway %v %s", c.name, statuses(got), got.Status, statuses(without), without.Status)
		return
	}
	sent := fmt.Sprint(without.Header)
	kind := without.Header.Get("Content-Type")
	differs := strings.Contains(sent, "_ga=") || strings.Contains(sent, vendor) ||
		strings.HasSuffix(c.sample.name, "of no type")
	allowed := func(name string) bool {
		return slices.ContainsFunc(response, func(r listed) bool {
			picture := kind == "image/svg+xml" && strings.Contains(r.when, "svg picture for anybody")
			return r.names(name) && (picture || r.inResponse(c.sample.page, c.state.held, differs))
		})
	}
	c.differs("response", &c.n.responses, got.Header, without.Header, allowed)
	c.differs("trailer", new(int), got.Trailer, without.Trailer, allowed)
	for i := range got.early {
		c.differs("early answer", new(int), got.early[i].header, without.early[i].header, allowed)
	}
	c.subset(got.Header, without.Header)
	c.sameBody(got, without)
}

// differs checks that the fields in which two headers differ are allowed to.
func (c comparison) differs(what string, count *int, got, without http.Header, allowed func(name string) bool) {
	c.Helper()
	names := unequal(got, without)
	if len(names) > 0 {
		*count++
	}
	for _, name := range names {
		if name == "Content-Length" && c.p == gate.H3 && c.method == http.MethodHead && got.Get(name)+without.Get(name) == "0" {
			// The HTTP/3 server adds a length to what was not flushed, and Caddy's
			// proxy flushes answers of unknown length from a timer.
			continue
		}
		c.n.fields[what+" "+name]++
		if !allowed(name) {
			c.Errorf("%s: %s field %s is %q, without the gateway %q, and docs/headers.md does not list it here",
				c.name, what, name, got[name], without[name])
		}
	}
}

// subset checks that of the fields which are filtered, what is left is what the
// site sent, in its order.
func (c comparison) subset(got, without http.Header) {
	for _, name := range []string{"Set-Cookie", "Link", "Refresh"} {
		left := without[name]
		for _, line := range got[name] {
			i := slices.IndexFunc(left, func(s string) bool { return strings.Contains(s, line) })
			if i < 0 {
				c.Errorf("%s: %s line %q is none of the site's %q", c.name, name, line, without[name])
				break
			}
			left = left[i+1:]
		}
	}
}

// sameBody checks the body: to the byte, unless a page is held.
func (c comparison) sameBody(got, without answer) {
	c.Helper()
	switch {
	case got.Err != nil || without.Err != nil:
		c.Errorf("%s: %v, without the gateway %v", c.name, got.Err, without.Err)
	case c.method == http.MethodHead:
		if got.Body != "" {
			c.Errorf("%s: HEAD has a body: %q", c.name, got.Body)
		}
	case c.sample.page && c.state.held && !shielded(got):
		if strings.Contains(c.sample.plain, live) {
			c.isRewritten(got)
		}
	case c.s.encode:
		if got.page != without.page {
			c.Errorf("%s: body %q, without the gateway %q", c.name, got.page, without.page)
		}
	case got.Body != without.Body:
		c.Errorf("%s: body %q, without the gateway %q", c.name, got.Body, without.Body)
	}
}

// withoutPorts replaces the address of the site in what a proxy tells the
// server behind it.
func withoutPorts(h http.Header, addr string) {
	for _, lines := range h {
		for i := range lines {
			lines[i] = strings.ReplaceAll(lines[i], addr, "host")
		}
	}
}
