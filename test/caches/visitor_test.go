package caches

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
)

// A state is what a visitor has chosen, and what the browser says.
type state struct {
	name    string
	decided bool
	granted []string
	gpc     bool
}

var states = []state{
	{name: "undecided"},
	{name: "refused", decided: true},
	{name: "functional", decided: true, granted: []string{"functional"}},
	{name: "analytics", decided: true, granted: []string{"analytics"}},
	{name: "marketing", decided: true, granted: []string{"marketing"}},
	{name: "all", decided: true, granted: []string{"functional", "analytics", "marketing"}},
	{name: "all, GPC", decided: true, granted: []string{"functional", "analytics", "marketing"}, gpc: true},
	{name: "undecided, GPC", gpc: true},
}

// has reports whether a category is granted. The signal takes marketing away.
func (s state) has(category string) bool {
	return slices.Contains(s.granted, category) && !(s.gpc && category == "marketing")
}

// cookie returns the pair that carries the choice, "" without one.
func (s state) cookie(secure bool) string {
	if !s.decided {
		return ""
	}
	sc := policy.Default().Scheme()
	var set consent.Set
	for _, id := range s.granted {
		set = set.With(sc.Index(id))
	}
	// Chosen at the start of the hour, so that a state has one cookie.
	at := time.Now().Truncate(time.Hour)
	line := (&consent.Resolver{Scheme: sc}).SetCookie(consent.Choice{Granted: set, At: at}, secure)
	pair, _, _ := strings.Cut(line, ";")
	return pair
}

// A copy is a response in a browser's cache.
type copy struct {
	request http.Header // it was the answer to
	header  http.Header
	body    string // decoded
	at      time.Time
}

// tag returns the entity tag.
func (c *copy) tag() string { return c.header.Get("ETag") }

// fresh reports whether a browser would show the copy for a request without
// asking (RFC 9111, sections 4.1 and 4.2).
func (c *copy) fresh(request http.Header) bool {
	cc := strings.Join(c.header["Cache-Control"], ",")
	if strings.Contains(cc, "no-cache") {
		return false
	}
	for _, line := range c.header["Vary"] {
		for field := range strings.SplitSeq(line, ",") {
			field = http.CanonicalHeaderKey(strings.TrimSpace(field))
			if field == "*" || !slices.Equal(c.request[field], request[field]) {
				return false
			}
		}
	}
	_, rest, ok := strings.Cut(strings.ReplaceAll(cc, "s-maxage", "s-"), "max-age=")
	if !ok {
		return false
	}
	digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	seconds, _ := strconv.Atoi(digits)
	age, _ := strconv.Atoi(c.header.Get("Age"))
	return time.Since(c.at) < time.Duration(seconds-age)*time.Second
}

// A visitor is a person with a browser, and the browser's cookies and cache.
type visitor struct {
	state    state
	language string
	coding   string // Accept-Encoding
	jar      map[string]string
	copies   map[string][]*copy // by path, the newest last
	rng      *rand.Rand
	asks     bool // nothing is shown without asking
	keeps    bool // the cookies stay as they are
	oneLine  bool // If-None-Match is one line
	noDates  bool // no dates are made up
}

func newVisitor(i int, seed uint64) *visitor {
	return &visitor{
		state:    states[i%len(states)],
		language: []string{"en", "de"}[i/2%2],
		coding:   []string{"gzip, deflate, br, zstd", "gzip", ""}[i%3],
		jar:      map[string]string{"_ga": "GA1.1." + strconv.Itoa(i)},
		copies:   make(map[string][]*copy),
		rng:      rand.New(rand.NewPCG(seed, uint64(i))),
	}
}

// flip makes the visitor choose again, or sign in or out.
func (v *visitor) flip() {
	v.state = states[v.rng.IntN(len(states))]
	if v.rng.IntN(3) == 0 {
		v.jar["session"] = "s" + strconv.Itoa(v.rng.IntN(3))
	} else if v.rng.IntN(3) == 0 {
		delete(v.jar, "session")
	}
}

// A request is one that a visitor is about to send.
type request struct {
	thing  *thing
	method string
	header http.Header
	tags   []string // entity tags it names
	dated  bool     // has If-Modified-Since
	part   bool     // asks for a range
}

// plan decides on the visitor's next request for a thing. foreign are tags that
// others got for it. The same calls come to the same requests whatever the
// answers before, but for the validators.
func (v *visitor) plan(d *thing, m mode, foreign []string) *request {
	r := &request{thing: d, method: http.MethodGet, header: make(http.Header)}
	style, what, how := v.rng.IntN(20), v.rng.IntN(25), v.rng.IntN(12)
	h := r.header
	switch {
	case !d.page() && style < 12:
		h.Set("Sec-Fetch-Dest", map[string]string{"text/javascript": "script", "text/css": "style", "image/png": "image", "image/gif": "image"}[d.kind])
		h.Set("Accept", "*/*")
	case style < 3: // by a script of the page
		h.Set("Sec-Fetch-Dest", "empty")
		h.Set("Sec-Fetch-Mode", "cors")
		h.Set("Accept", "*/*")
	case d.page() && style < 6: // a browser of old
		h.Set("Accept", "text/html,*/*;q=0.8")
	case d.page():
		h.Set("Accept", "text/html,*/*;q=0.8")
		h.Set("Sec-Fetch-Dest", "document")
		h.Set("Sec-Fetch-Mode", "navigate")
	}
	h.Set("Accept-Language", v.language)
	if v.coding != "" {
		h.Set("Accept-Encoding", v.coding)
	}
	if v.state.gpc {
		h.Set("Sec-GPC", "1")
	}
	v.addCookies(h, m)
	switch {
	case what == 0:
		r.method = http.MethodHead
	case what == 1 && (!d.page() || style >= 3):
		// A script that asks for a part of a page is refused, which is no
		// matter of caches.
		r.part = true
		h.Set("Range", "bytes=10-89")
		h.Set("Accept-Encoding", "identity") // parts of a compressed body tell nothing
	default:
		v.addConditions(r, how, foreign)
	}
	return r
}

func (v *visitor) addCookies(h http.Header, m mode) {
	var pairs []string
	for _, name := range []string{"session", "_ga"} {
		if value := v.jar[name]; value != "" {
			pairs = append(pairs, name+"="+value)
		}
	}
	// Without the gateway there is no choice to remember.
	if pair := v.state.cookie(false); pair != "" && m != bare {
		pairs = append(pairs, pair)
	}
	if len(pairs) > 0 {
		h.Set("Cookie", strings.Join(pairs, "; "))
	}
}

// addConditions makes a request conditional, in one of the ways RFC 9110 allows.
func (v *visitor) addConditions(r *request, how int, foreign []string) {
	copies := v.copies[r.thing.path]
	var own []string
	date := ""
	for _, c := range copies {
		if tag := c.tag(); tag != "" && !slices.Contains(own, tag) {
			own = append(own, tag)
		}
		if d := c.header.Get("Last-Modified"); d != "" {
			date = d
		}
	}
	h := r.header
	switch {
	case how < 3 || len(copies) == 0 && how < 9:
		return // anew
	case how < 6: // as browsers do
		if len(own) > 0 {
			r.tags = own[len(own)-1:]
		}
		if date != "" {
			h.Set("If-Modified-Since", date)
			r.dated = true
		}
	case how < 8: // a cache that has several copies
		r.tags = own
	case how < 9: // weakened on the way
		for _, tag := range own {
			r.tags = append(r.tags, "W/"+opaque(tag))
		}
	case how < 11: // tags of other visitors as well
		r.tags = slices.Concat([]string{`"other"`, `W/"a,b"`}, own, slices.DeleteFunc(foreign, func(tag string) bool { return slices.Contains(own, tag) }))
	case !v.noDates && (!r.thing.page() || strings.Contains(h.Get("Accept"), "html")):
		// A date that no change is after. A script that made one up for a page
		// would get the site's 304, and has nothing to revive with it.
		h.Set("If-Modified-Since", time.Now().UTC().Format(http.TimeFormat))
		r.dated = true
	}
	switch {
	case len(r.tags) == 0:
	case how%2 == 0 && !v.oneLine: // a line each
		h["If-None-Match"] = slices.Clone(r.tags)
	default:
		h.Set("If-None-Match", strings.Join(r.tags, ", "))
	}
}

// keep stores a complete answer as a browser does.
func (v *visitor) keep(r *request, header http.Header, body string) {
	if strings.Contains(strings.Join(header["Cache-Control"], ","), "no-store") {
		return
	}
	path := r.thing.path
	list := slices.DeleteFunc(v.copies[path], func(c *copy) bool { return c.tag() == header.Get("ETag") })
	v.copies[path] = append(list, &copy{request: r.header.Clone(), header: header.Clone(), body: body, at: time.Now()})
}

// freshen merges the headers of a 304 into the copy it names (RFC 9111, section
// 3.2) and returns it; nil if the visitor has none such.
func (v *visitor) freshen(r *request, header http.Header) *copy {
	list := v.copies[r.thing.path]
	at := -1
	for i, c := range list {
		if tag := header.Get("ETag"); tag == "" || opaque(tag) == opaque(c.tag()) {
			at = i
		}
	}
	if at < 0 {
		return nil
	}
	c := list[at]
	for key, lines := range header {
		if key != "Content-Length" {
			c.header[key] = lines
		}
	}
	c.at, c.request = time.Now(), r.header.Clone()
	v.copies[r.thing.path] = append(slices.Delete(list, at, at+1), c)
	return c
}

// take puts the cookies of an answer into the jar.
func (v *visitor) take(h http.Header) {
	if v.keeps {
		return
	}
	for _, line := range h["Set-Cookie"] {
		pair, _, _ := strings.Cut(line, ";")
		if name, value, ok := strings.Cut(pair, "="); ok {
			v.jar[name] = value
		}
	}
}

// opaque returns an entity tag without what says that it is weak.
func opaque(tag string) string { return strings.TrimPrefix(tag, "W/") }

func (r *request) String() string { return fmt.Sprintf("%s %s %v", r.method, r.thing.path, r.header) }
