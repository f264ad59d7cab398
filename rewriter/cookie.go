package rewriter

import (
	"net/http"
	"strings"
	"time"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
)

// What a cookie is counted as where it belongs to no category of the policy.
// [Unclassified] is one more.
const (
	CookieEssential = "essential" // the site needs it to work
	CookieMalformed = "malformed" // a line no browser would store
	CookieNameless  = "nameless"  // stored and sent without a name
	CookieOwn       = "own"       // the upstream tried to set our cookie
)

// DefaultMaxCookies is the number of cookies in one request from which on
// servers stop reading them; Go's return none at all then.
const DefaultMaxCookies = consent.MaxCookies

// FilterSetCookie removes from a response, trailers included, the Set-Cookie
// lines that b blocks. Every line is one cookie, read as browsers read it (RFC
// 6265bis, section 5.6), and a line that stays keeps its bytes and its place.
//
// Lines that delete a cookie, and that no browser takes for anything else, stay
// whatever the cookie. Lines with control bytes, which browsers reject, go unless b
// is unrestricted. Lines that would set one of the cookies named in own always go,
// those that delete it included.
//
// count is told the category and the outcome of each line but deletions. depends
// says that visitors of other states would get other lines.
func FilterSetCookie(h http.Header, b policy.Bound, own []string, count func(category string, a policy.Action)) (depends bool) {
	var now time.Time
	filterHeaderLines(h, "Set-Cookie", func(line string) string {
		if line == "" {
			return line // sets nothing
		}
		pair, attributes, _ := strings.Cut(line, ";")
		name, value := cookieNameValue(pair)
		if setsOwn(name, value, own) {
			count(CookieOwn, policy.Block)
			return ""
		}
		if hasControl(line) {
			depends = true
			if b.Unrestricted() {
				return line
			}
			count(CookieMalformed, policy.Block)
			return ""
		}
		if now.IsZero() {
			now = time.Now()
		}
		if deletesCookie(attributes, h, now) {
			return line
		}
		d := b.SetCookie(name)
		depends = depends || b.Depends(d) || name == "" && d.Reason == policy.Unclassified
		count(cookieCategory(b, name, d), d.Action)
		if d.Action == policy.Block {
			return ""
		}
		return line
	})
	return depends
}

// cookieNameValue splits the first part of a Set-Cookie line. Without "=" it is
// the value of a cookie without a name.
func cookieNameValue(pair string) (name, value string) {
	name, value, ok := strings.Cut(pair, "=")
	if !ok {
		name, value = "", pair
	}
	return headerTrim(name), headerTrim(value)
}

// setsOwn reports whether a cookie is one of own, or would look like it when it
// comes back: a nameless cookie is sent as its bare value, which may be a pair.
func setsOwn(name, value string, own []string) bool {
	if name == "" {
		name, _ = cookieNameValue(value)
	}
	return name != "" && containsString(own, name)
}

// hasControl reports whether a line has a control byte other than HTAB.
func hasControl(line string) bool {
	for i := 0; i < len(line); i++ {
		if c := line[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

func cookieCategory(b policy.Bound, name string, d policy.Decision) string {
	switch {
	case d.Reason == policy.Essential:
		return CookieEssential
	case d.Category >= 0 && d.Category < len(b.Policy().Scheme().Categories):
		return b.Policy().Scheme().Categories[d.Category].ID
	case name == "":
		return CookieNameless
	}
	return Unclassified
}

// KeptCookies returns the one line of a request's cookies that may go on, "" for
// none, and whether it is anything else than what h has; h itself is left alone.
// Cookies that b blocks go, and those named in own, which only the gateway reads.
// Pairs are cut at every ";", as browsers join them; quotes protect nothing, so that
// half of a quoted span may go. What stays keeps its bytes: a pair goes together
// with one separator. Several Cookie lines become one, joined by "; " (RFC 6265bis,
// section 5.8.3).
//
// With more than limit pairs (0: [DefaultMaxCookies]) nothing goes on and tooMany is
// true: the upstream might read what we do not.
//
// count is told the category and the outcome of each pair but our own.
func KeptCookies(h http.Header, b policy.Bound, own []string, limit int, count func(category string, a policy.Action)) (line string, changed, tooMany bool) {
	if limit <= 0 {
		limit = DefaultMaxCookies
	}
	lines, pairs := 0, 0
	for key := range h {
		if headerFold(key, "Cookie") {
			for _, line = range h[key] {
				lines++
				pairs += strings.Count(line, ";") + 1
			}
		}
	}
	switch {
	case lines == 0:
		return "", false, false
	case pairs > limit:
		return "", true, true
	case lines == 1:
		kept := keepCookies(line, b, own, count)
		return kept, kept != line, false
	}
	var kept []string
	for key := range h {
		if headerFold(key, "Cookie") {
			for _, line := range h[key] {
				if line = keepCookies(line, b, own, count); line != "" {
					kept = append(kept, line)
				}
			}
		}
	}
	return strings.Join(kept, "; "), true, false
}

// ReplaceCookies makes line all that h says of cookies; "" for nothing.
func ReplaceCookies(h http.Header, line string) {
	for key := range h {
		if headerFold(key, "Cookie") {
			delete(h, key)
		}
	}
	if line != "" {
		h["Cookie"] = []string{line}
	}
}

// keepCookies returns one Cookie line without the pairs that may not go on, ""
// if none may.
func keepCookies(line string, b policy.Bound, own []string, count func(category string, a policy.Action)) string {
	var out []byte
	pos := 0 // of the pair at hand
	dropped, filled := false, false
	consent.EachCookie(line, func(pair, name, value string) bool {
		start := pos
		pos += len(pair) + 1
		keep := true
		switch {
		case name == "" && value == "":
			// A stray separator is no cookie, and none of our business.
		case setsOwn(name, "", own):
			keep = false
		default:
			d := b.RequestCookie(name)
			count(cookieCategory(b, name, d), d.Action)
			keep = d.Action == policy.Allow
			filled = filled || keep
		}
		switch {
		case !keep && !dropped:
			dropped = true
			if start > 0 {
				out = append(out, line[:start-1]...)
			}
		case keep && dropped && len(out) == 0:
			out = append(out, strings.TrimLeft(pair, " \t")...)
		case keep && dropped:
			out = append(append(out, ';'), pair...)
		}
		return true
	})
	switch {
	case !dropped:
		return line
	case !filled:
		return ""
	}
	return string(out)
}
