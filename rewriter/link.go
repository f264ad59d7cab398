package rewriter

import (
	"net/http"
	"strings"

	"github.com/consentgate/consentgate/policy"
)

// Base is the URL of a response, against which URLs in its headers are resolved.
// Host may carry a port.
type Base struct{ Scheme, Host, Path string }

// A headerJudge asks the policy about URLs in header fields.
type headerJudge struct {
	bound policy.Bound
	base  baseURL
	count func(policy.Decision, policy.Kind)
}

func newHeaderJudge(b policy.Bound, base Base, count func(policy.Decision, policy.Kind)) *headerJudge {
	j := &headerJudge{bound: b, count: count}
	j.base.reset(base.Scheme, base.Host, base.Path)
	return j
}

// blocked reports whether a browser must not learn of the URL. What cannot be
// read as a URL is blocked.
func (j *headerJudge) blocked(raw string, k policy.Kind) bool {
	var loc policy.Location
	d := policy.Decision{Category: -1}
	switch j.base.resolve([]byte(raw), &loc) {
	case urlNet:
		d = j.bound.Resource(k, loc)
	case urlBad:
	default:
		return false // nothing is fetched
	}
	j.count(d, k)
	return d.Action == policy.Block
}

// refuse counts a value that cannot be read and might fetch something.
func (j *headerJudge) refuse(k policy.Kind) bool {
	j.count(policy.Decision{Category: -1}, k)
	return true
}

// FilterLink removes from a response, final or 103, those values of Link (RFC
// 8288) that would make a browser fetch, or connect to, what b blocks: preloads
// and prefetches of all sorts, stylesheets, icons. Other values stay, and what
// stays keeps its bytes. A value that cannot be read goes if it might be one.
func FilterLink(h http.Header, b policy.Bound, base Base, count func(policy.Decision, policy.Kind)) {
	if b.Unrestricted() {
		return
	}
	j := newHeaderJudge(b, base, count)
	filterHeaderLines(h, "Link", func(line string) string {
		return keepHeaderMembers(line, ',', true, func(member string, closed bool) bool {
			return !j.blockedLink(member, closed)
		})
	})
}

// linkKinds are the relations that make browsers act, and the kind of resource
// the link then is. "next" is prefetched by Firefox.
var linkKinds = [...]struct {
	rel  string
	kind policy.Kind
}{
	{"preload", policy.Hint}, {"prefetch", policy.Hint}, {"prerender", policy.Hint},
	{"preconnect", policy.Hint}, {"dns-prefetch", policy.Hint}, {"next", policy.Hint},
	{"compression-dictionary", policy.Hint}, {"manifest", policy.Hint},
	{"modulepreload", policy.Script}, {"stylesheet", policy.Style},
	{"icon", policy.Image}, {"apple-touch-icon", policy.Image},
	{"apple-touch-icon-precomposed", policy.Image}, {"mask-icon", policy.Image},
}

// linkKind returns the kind for a relation; ok is false for relations that name
// things for people and programs to follow.
func linkKind(rel string) (k policy.Kind, ok bool) {
	for i := range linkKinds {
		if headerFold(rel, linkKinds[i].rel) {
			return linkKinds[i].kind, true
		}
	}
	return 0, false
}

// blockedLink judges one link-value.
func (j *headerJudge) blockedLink(value string, closed bool) bool {
	if value == "" {
		return false // an empty list member
	}
	end := strings.IndexByte(value, '>')
	if value[0] != '<' || end < 0 || !closed {
		return mightFetch(value) && j.refuse(policy.Hint)
	}
	target, params := value[1:end], value[end+1:]
	if semi := strings.IndexByte(params, ';'); headerTrim(params) != "" && (semi < 0 || headerTrim(params[:semi]) != "") {
		return mightFetch(value) && j.refuse(policy.Hint)
	}
	if kind, ok := fetchingRelation(params); ok && (j.blocked(target, kind) || j.blockedCandidates(params)) {
		return true
	}
	// Browsers cut values with less care for quotes than RFC 8288 asks. A further
	// <…> may be a link of its own to them.
	for {
		_, inner, found := strings.Cut(params, "<")
		if !found {
			return false
		}
		inner, params, _ = strings.Cut(inner, ">")
		if j.blocked(inner, policy.Hint) {
			return true
		}
	}
}

// mightFetch reports whether an unreadable link-value names another host or a
// relation that fetches.
func mightFetch(value string) bool {
	if strings.Contains(value, "//") || strings.Contains(value, `\`) {
		return true
	}
	value = strings.ToLower(value)
	for i := range linkKinds {
		if strings.Contains(value, linkKinds[i].rel) {
			return true
		}
	}
	return false
}

// fetchingRelation returns the kind of the first relation that fetches. Only
// the first rel parameter should count (RFC 8288, section 3.3); all do here.
func fetchingRelation(params string) (k policy.Kind, ok bool) {
	eachLinkParam(params, "rel", func(value string) {
		for rel := range strings.FieldsSeq(value) {
			if !ok {
				k, ok = linkKind(strings.Trim(rel, "'")) // quotes to some readers
			}
		}
	})
	return k, ok
}

// blockedCandidates judges the images of imagesrcset, which a preload fetches
// instead of its target.
func (j *headerJudge) blockedCandidates(params string) bool {
	blocked := false
	eachLinkParam(params, "imagesrcset", func(value string) {
		url, rest := nextCandidate([]byte(value))
		for len(url) > 0 {
			blocked = j.blocked(string(url), policy.Image) || blocked
			url, rest = nextCandidate(rest)
		}
	})
	return blocked
}

// eachLinkParam calls f with the value of every parameter of that name.
func eachLinkParam(params, name string, f func(value string)) {
	eachParameter(params, func(p parameter) bool {
		if p.name == name {
			f(p.value)
		}
		return true
	})
}
